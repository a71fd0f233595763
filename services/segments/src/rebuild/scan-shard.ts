// Scans one chunk of a shard. A backfill reads only the events of its own rules, and keeps the stored facts of all
// other rules.
import type { ProfileId } from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Definitions } from "../engine/state/definitions.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import { readRebuildReasons } from "../profiles/rebuild-store.ts";
import type { RebuildTask } from "./rebuild-planner.ts";
import type { ScannedShard } from "./replace-states.ts";
import { readUnappliedMessages, type UnappliedMessages } from "./retained-facts.ts";
import { ownScopeOf, type ScanScope, wholeScopeOf } from "./scan-scope.ts";
import { type ScanDeps, type ScannedStates, type ScanOptions, scanStates } from "./scan-states.ts";

/**
 * Most messages between the applied position and the snapshot that are read to bring stored facts up to the
 * snapshot. With more, all events are read instead.
 */
const UNAPPLIED_MESSAGES_MAX = 200;

const NOTHING_UNAPPLIED: UnappliedMessages = { events: new Map(), identityChanges: new Set() };

export interface ScanShardDeps extends ScanDeps {
  readonly database: Database;
  readonly feed: EventsFeed;
}

/**
 * No message of the shard is applied meanwhile. The task of the result ends before a profile with too many events.
 */
export async function scanShard(
  deps: ScanShardDeps,
  task: RebuildTask,
  definitions: Definitions,
  appliedPosition: number,
  options: ScanOptions,
): Promise<ScannedShard> {
  const common = { appliedPosition, scannedMs: options.nowMs };
  const own = ownScopeOf(task, definitions);
  if (own !== undefined) {
    const scan = await scanStates(deps, task, definitions, own, options);
    const unapplied = await readForKeptFacts(deps, task, appliedPosition, scan);
    if (unapplied !== undefined) return { ...common, ...scan, task: scannedPart(task, scan), unapplied };
  }
  const whole: ScanScope | undefined = wholeScopeOf(definitions);
  const scan = await scanStates(deps, task, definitions, whole, options);
  const isUnapplied = scan.completeSinceMs > 0;
  const unapplied = isUnapplied ? await readUnapplied(deps, task, appliedPosition, scan) : undefined;
  return { ...common, ...scan, task: scannedPart(task, scan), unapplied };
}

/** The profiles of the task before the one with too many events. A range ends after its last scanned profile. */
function scannedPart(task: RebuildTask, { longProfileId }: ScannedStates): RebuildTask {
  if (longProfileId === undefined || !("ids" in task.profiles)) return task;
  return { ...task, profiles: { ids: task.profiles.ids.filter((id) => id < longProfileId) } };
}

/**
 * Scans all events of the task. Messages may be applied meanwhile. Stored facts are kept only once all messages of the
 * snapshot are applied.
 */
export async function scanWholeShard(
  deps: ScanDeps,
  task: RebuildTask,
  definitions: Definitions,
  options: ScanOptions,
): Promise<ScannedShard> {
  const scan = await scanStates(deps, task, definitions, wholeScopeOf(definitions), options);
  const unapplied = scan.completeSinceMs > 0 ? NOTHING_UNAPPLIED : undefined;
  return { ...scan, task, appliedPosition: scan.position, scannedMs: options.nowMs, unapplied };
}

/**
 * The messages that bring the stored facts up to the snapshot. Undefined if the chunk has a profile whose stored
 * facts are of another identity, or if there are too many messages.
 */
async function readForKeptFacts(
  deps: ScanShardDeps,
  task: RebuildTask,
  appliedPosition: number,
  scan: ScannedStates,
): Promise<UnappliedMessages | undefined> {
  const { organizationId, shard } = task;
  if (scan.position - appliedPosition > UNAPPLIED_MESSAGES_MAX) return undefined;
  const profileIds: ProfileId[] = [...scan.states.keys()];
  const reasons = await readRebuildReasons(deps.database.reader, organizationId, shard, profileIds);
  for (const reason of reasons.values()) if (reason !== "stale") return undefined;
  try {
    const unapplied = await readUnapplied(deps, task, appliedPosition, scan);
    for (const profileId of unapplied.identityChanges) if (scan.states.has(profileId)) return undefined;
    return unapplied;
  } catch (error) {
    // A message cannot be read and is about to become a dead letter.
    if (!(error instanceof AppError) || error.reason !== "UNAVAILABLE") throw error;
    return undefined;
  }
}

function readUnapplied(
  { feed }: ScanShardDeps,
  { organizationId, shard }: RebuildTask,
  after: number,
  { position: through, states }: ScannedStates,
): Promise<UnappliedMessages> {
  return readUnappliedMessages(feed, { organizationId, shard, after, through }, states);
}
