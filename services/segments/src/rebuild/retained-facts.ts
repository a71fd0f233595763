// Retains facts that a rebuild cannot read again, because retention has removed older raw events. The stored
// facts are first brought up to the snapshot's position, then merged with the facts from the raw events.
import { assert, type OrganizationId, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { PoisonMessage } from "@muster/outbox";
import { applyDueEvents, recordEvent } from "../engine/state/apply-events.ts";
import type { Definitions, TrackedFact } from "../engine/state/definitions.ts";
import { keepUnscannedFacts } from "../engine/state/keep-unscanned-facts.ts";
import { mergeRetainedFacts } from "../engine/state/merge-retained-facts.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { type DecodedMessage, decodeMessage, type ProfileEvent } from "../events/decode-message.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";
import { ALL_EVALUATIONS, type Backfill } from "./backfill-store.ts";

const MESSAGES_AT_ONCE = 200;

/** Messages that the snapshot contains and that have not been applied, for the profiles in the snapshot. */
export interface UnappliedMessages {
  /** By profile, in order of position. */
  readonly events: ReadonlyMap<
    ProfileId,
    readonly { readonly position: number; readonly event: ProfileEvent }[]
  >;
  /** Profiles whose identity changed. */
  readonly identityChanges: ReadonlySet<ProfileId>;
}

/** Reads the messages of the shard with positions in (after, through], for these profiles. */
export async function readUnappliedMessages(
  feed: EventsFeed,
  range: {
    readonly organizationId: OrganizationId;
    readonly shard: number;
    readonly after: number;
    readonly through: number;
  },
  profiles: ReadonlyMap<ProfileId, unknown>,
): Promise<UnappliedMessages> {
  const events = new Map<ProfileId, { readonly position: number; readonly event: ProfileEvent }[]>();
  const identityChanges = new Set<ProfileId>();
  for (let position = range.after; position < range.through; ) {
    const messages = await readMessages(feed, range.shard, position);
    for (const message of messages) {
      position = message.position;
      if (position > range.through) break;
      for (const event of message.events) {
        if (event.organizationId !== range.organizationId || !profiles.has(event.profileId)) continue;
        const own = events.get(event.profileId);
        if (own === undefined) events.set(event.profileId, [{ position, event }]);
        else own.push({ position, event });
      }
      for (const identityChange of message.identityChanges) {
        if (identityChange.organizationId === range.organizationId)
          identityChanges.add(identityChange.profileId);
      }
    }
  }
  return { events, identityChanges };
}

async function readMessages(feed: EventsFeed, shard: number, after: number): Promise<DecodedMessage[]> {
  try {
    const messages = (await feed.read(shard, after, MESSAGES_AT_ONCE)).map(decodeMessage);
    if (messages.length > 0) return messages;
  } catch (error) {
    // The message is about to become a dead letter; the rebuild succeeds after the shard has passed it.
    if (!(error instanceof PoisonMessage)) throw error;
  }
  throw new AppError("UNAVAILABLE");
}

/** One profile of a rebuild, and what is known about its stored facts. */
export interface RebuiltProfile {
  readonly profileId: ProfileId;
  /** The stored state. */
  readonly before: ProfileState | undefined;
  /** Undefined for a profile that only a backfill reads. */
  readonly reason: RebuildReason | undefined;
  /** Events received or dated from this instant on are complete; 0 means all events. */
  readonly completeSinceMs: number;
  /** The time of the scan: later events wait in the new state. */
  readonly scannedMs: number;
  readonly unapplied: UnappliedMessages;
  /** The unfinished backfills of the shard. */
  readonly backfills: readonly Backfill[];
  /** The keys of the facts whose events were all read; undefined means every fact. */
  readonly factKeys: ReadonlySet<string> | undefined;
  /** The limit of scheduled events, if not the default. */
  readonly scheduledEventsMax?: number;
}

/** Adds the facts that only the stored state contains to `fresh`, the state from the raw events. */
export function retainKnownFacts(
  fresh: ProfileState,
  definitions: Definitions,
  rebuilt: RebuiltProfile,
): void {
  const { profileId, before, reason, completeSinceMs, unapplied, factKeys } = rebuilt;
  if (completeSinceMs === 0 && factKeys === undefined) return;
  const unfinished = new Set(
    rebuilt.backfills
      .filter(({ afterProfileId }) => afterProfileId < profileId)
      .map((one) => one.evaluationId),
  );
  const hasOtherIdentity =
    before?.isAwaitingRebuild === true ||
    unapplied.identityChanges.has(profileId) ||
    (reason ?? "stale") !== "stale";
  const kept = hasOtherIdentity
    ? undefined
    : withUnappliedEvents(before ?? emptyState(), definitions, rebuilt);
  mergeRetainedFacts(fresh, definitions, {
    completeSinceMs,
    nowMs: rebuilt.scannedMs,
    kept,
    factKeys,
    // A mark without fact keys comes from a dead-lettered message.
    isStale:
      unfinished.has(ALL_EVALUATIONS) || (reason === "stale" && (before?.incompleteFacts.size ?? 0) === 0),
    wasTracked: (fact) => isBackfilled(fact, unfinished),
  });
  if (factKeys === undefined) return;
  assert(kept !== undefined, "the facts of another identity are scanned as a whole");
  keepUnscannedFacts(fresh, kept, definitions, factKeys, rebuilt.scheduledEventsMax);
}

/** Whether some rule that reads the fact is backfilled, so that the fact contains every applied event. */
export function isBackfilled({ segments }: TrackedFact, unfinished: ReadonlySet<string>): boolean {
  for (const { id } of segments) if (!unfinished.has(id)) return true;
  return false;
}

/** Applies the unapplied events to the stored state, up to the snapshot's position. */
function withUnappliedEvents(
  state: ProfileState,
  definitions: Definitions,
  rebuilt: RebuiltProfile,
): ProfileState {
  const { profileId, scannedMs, unapplied, factKeys, scheduledEventsMax } = rebuilt;
  applyDueEvents(state, definitions, scannedMs, new Set());
  for (const { position, event } of unapplied.events.get(profileId) ?? []) {
    if (position <= state.asOf) continue;
    // A scan of all events has scheduled this event already.
    if (factKeys === undefined && event.instant[0] > scannedMs) continue;
    const options = scheduledEventsMax === undefined ? {} : { scheduledEventsMax };
    recordEvent(state, definitions, event, scannedMs, new Set(), options);
  }
  return state;
}
