// Reads profiles again from their raw events: the backfill of new segments, and whatever lost its facts.
import { assert, type Clock, type OrganizationId, type ProfileId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { OwnedShards } from "@muster/outbox";
import { ALL_SEGMENTS, advanceBackfills, type Backfill, LAST_PROFILE } from "../backfills/backfill-store.ts";
import { addProfileDerivations, deleteProfileDerivations } from "../backfills/derivation-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import type { Definitions } from "../engine/definitions.ts";
import type { EventsFeed } from "../events-feed.ts";
import { type ScannedStates, scanStates } from "../profiles/scan-states.ts";
import { compareProfileKeys, listStateIds } from "../profiles/state-store.ts";
import { saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import { lockOrganization } from "../segments/organization-store.ts";
import { takeOver } from "../segments/take-over.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { forgetProfiles, tellAbsent } from "./absent-profiles.ts";
import { DerivationAgenda, type DerivationTask } from "./derivation-agenda.ts";
import { Lookout } from "./lookout.ts";
import { readUnfolded, type UnfoldedNews } from "./recollection.ts";
import { type Derived, type Replaced, replaceStates } from "./replace-states.ts";

export interface DeriveDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly feed: EventsFeed;
  readonly log: Logger;
  readonly metrics: SegmentsMetrics;
}

export interface StepResult {
  /** When the next step is wanted. */
  readonly nextMs: number;
  /** Some work is over that a reader may wait for. */
  readonly settled: boolean;
}

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;

export class Derivations {
  readonly #deps: DeriveDeps;
  readonly #agenda: DerivationAgenda;
  readonly #lookout = new Lookout();
  #failures = 0;
  /** Whoever asks, nothing is tried before. */
  #notBeforeMs = 0;

  constructor(deps: DeriveDeps) {
    this.#deps = deps;
    this.#agenda = new DerivationAgenda(deps.database);
  }

  /** Something may have been added. */
  look(): void {
    this.#lookout.ask();
  }

  /** One chunk. The shards' folding stands still meanwhile. */
  async step(owned: OwnedShards): Promise<StepResult> {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    const nextMs = Math.max(this.#lookout.nextMs, this.#notBeforeMs);
    if (nowMs < nextMs) return { nextMs, settled: false };
    this.#lookout.begin();
    const tasks = await this.#agenda.next(owned.shards);
    if (tasks.length === 0) {
      this.#lookout.rest();
      return { nextMs: this.#lookout.nextMs, settled: false };
    }
    const startMs = clock.monotonicMs();
    try {
      await this.#run(owned, tasks);
      this.#agenda.took(clock.monotonicMs() - startMs);
      this.#failures = 0;
      return { nextMs: 0, settled: true };
    } catch (error) {
      // A lost shard, or a defect, is the consumer's to deal with.
      if (!(error instanceof AppError)) throw error;
      // The events service is away. Timers and folding go on; who waits for this is told to come again.
      if (this.#failures === 0) this.#deps.log.warn({ err: error }, "a backfill step failed; trying again");
      this.#agenda.took(Number.POSITIVE_INFINITY);
      this.#notBeforeMs = nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 10));
      this.#failures += 1;
      return { nextMs: this.#notBeforeMs, settled: false };
    }
  }

  /** The tasks are of one organisation and of different shards. */
  async #run(owned: OwnedShards, tasks: readonly DerivationTask[]): Promise<void> {
    const { database, clock } = this.#deps;
    const organizationId = tasks[0]?.organizationId;
    assert(organizationId !== undefined, "a step has a task");
    // Invariant: loaded after the tasks were listed, so every segment whose backfill they advance is read. One
    // that comes later has a backfill of its own before it; one that goes has its purge, also in this owner.
    const definitions = await this.#deps.definitions.loadKnown(database.reader, organizationId);
    const scannedMs = clock.nowMs();
    const scans = await Promise.allSettled(
      tasks.map(async (task): Promise<Derived> => {
        const folded = owned.position(task.shard);
        const scan = await scanStates(this.#deps.feed, task, definitions, scannedMs);
        return { task, folded, scannedMs, ...scan, unfolded: await this.#unfolded(task, folded, scan) };
      }),
    );
    const derived = scans.flatMap((scan) => (scan.status === "fulfilled" ? [scan.value] : []));
    for (const { position, folded } of derived) {
      // Invariant: the snapshot holds all that was folded, for nothing is folded during the step.
      assert(position >= folded, "a snapshot is behind what is folded");
    }
    // A shard that cannot be read holds up no other.
    if (derived.length > 0) {
      const shards = derived.map(({ task }) => task.shard).sort((a, b) => a - b);
      const changes = await owned.transaction(shards, (trx) =>
        this.#write(trx, organizationId, derived, definitions),
      );
      this.#deps.metrics.membershipsChanged("backfill", changes);
    }
    for (const scan of scans) if (scan.status === "rejected") throw scan.reason;
  }

  async #unfolded(
    { organizationId, shard }: DerivationTask,
    after: number,
    { completeSinceMs, position: through, states }: ScannedStates,
  ): Promise<UnfoldedNews | undefined> {
    if (completeSinceMs === 0) return undefined;
    return readUnfolded(this.#deps.feed, { organizationId, shard, after, through }, states);
  }

  /** Resolves to how many memberships changed. */
  async #write(
    trx: Transaction,
    organizationId: OrganizationId,
    derived: readonly Derived[],
    definitions: Definitions,
  ): Promise<number> {
    const nowMs = this.#deps.clock.nowMs();
    // Before anything else, in the order of all who lock an organisation.
    const isEnding = derived.some(isLastChunk);
    if (isEnding) await lockOrganization(trx, organizationId);
    const touched: TouchedProfile[] = [];
    const ended: (Replaced & { readonly shard: number })[] = [];
    for (const one of [...derived].sort((a, b) => a.task.shard - b.task.shard)) {
      const replaced = await replaceStates(trx, one, definitions, nowMs);
      touched.push(...replaced.touched, ...replaced.absent);
      ended.push({ shard: one.task.shard, ...replaced });
    }
    await saveTouched(trx, touched.sort(compareProfileKeys), this.#deps.announcer, nowMs);
    for (const of of ended) {
      await tellAbsent(trx, this.#deps.announcer, of.absent, nowMs);
      await forgetProfiles(trx, organizationId, of.shard, of);
    }
    for (const one of derived) await finish(trx, one);
    if (isEnding) await takeOver(trx, organizationId, this.#deps.announcer);
    return touched.reduce((sum, { changes }) => sum + changes.length, 0);
  }
}

/**
 * Invariant: a profile made behind a backfill's cursor needs no visit. It is not in the snapshot of the chunk
 * that passed it, so it was made after it, and all its events come in later messages, which fold them with
 * the segment. A profile made ahead of the cursor is met by the scan; whatever was folded of it before is
 * replaced, and what the snapshot already held is skipped by `asOf`. One that stands for itself again, or for
 * more than before, is marked by the message that says so.
 */
async function finish(trx: Transaction, { task, states, more, isRead }: Derived): Promise<void> {
  if ("ids" in task.profiles) {
    await deleteProfileDerivations(trx, task.organizationId, task.shard, task.profiles.ids);
    return;
  }
  const last = [...states.keys()].sort().at(-1);
  const advanced = task.backfills.filter((backfill) => isCovered(backfill, task.profiles, { more, last }));
  const isAll = advanced.some(({ segmentId }) => segmentId === ALL_SEGMENTS);
  if (isAll && isRead) await doubtAbsent(trx, task, states, more ? last : undefined);
  await advanceBackfills(trx, advanced, more ? last : states.size > 0 ? LAST_PROFILE : undefined);
}

/**
 * A shard that lost a message unread may have lost the one that ended a profile: those that have a row and are
 * not in the snapshot are asked for by their ids.
 */
async function doubtAbsent(
  trx: Transaction,
  { organizationId, shard, profiles }: DerivationTask,
  states: ScannedStates["states"],
  last: ProfileId | undefined,
): Promise<void> {
  if ("ids" in profiles) return;
  const kept = await listStateIds(trx, organizationId, shard, profiles.after, last);
  const absent = kept.filter((profileId) => !states.has(profileId));
  await addProfileDerivations(
    trx,
    absent.map((profileId) => ({ organizationId, shard, profileId })),
  );
}

/**
 * Whether backfills of the shard end with it. One that wrote profiles does not end them yet: an empty one
 * behind it does, for the organisation stays locked to the end and whoever saves a segment waits.
 */
function isLastChunk({ task, more, states }: Derived): boolean {
  return !more && states.size === 0 && !("ids" in task.profiles);
}

/** Whether the chunk takes the backfill on: it begins at or before the cursor, and ends behind it. */
function isCovered(
  { afterProfileId }: Backfill,
  profiles: DerivationTask["profiles"],
  chunk: { readonly more: boolean; readonly last: ProfileId | undefined },
): boolean {
  if ("ids" in profiles || profiles.after > afterProfileId) return false;
  return !chunk.more || (chunk.last !== undefined && afterProfileId <= chunk.last);
}
