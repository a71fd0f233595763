// For organisations whose older raw events retention has removed: what was folded of a profile while they were
// there, caught up with the snapshot that it is read again from, and kept where it knows more.
import type { OrganizationId, ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { PoisonMessage } from "@muster/outbox";
import { ALL_SEGMENTS, type Backfill } from "../backfills/backfill-store.ts";
import type { DerivationReason } from "../backfills/derivation-reason.ts";
import { type DecodedMessage, decodeMessage, type ProfileEvent } from "../consumers/decode-message.ts";
import type { Definitions, TrackedFact } from "../engine/definitions.ts";
import { recollect } from "../engine/keep-facts.ts";
import { emptyState, type ProfileState, recordEvent, settleFutures } from "../engine/profile-state.ts";
import type { EventsFeed } from "../events-feed.ts";

const MESSAGES_AT_ONCE = 200;

/** What the snapshot already holds and nobody has folded yet, of the profiles in it. */
export interface UnfoldedNews {
  readonly events: ReadonlyMap<
    ProfileId,
    readonly { readonly position: number; readonly event: ProfileEvent }[]
  >;
  /** Profiles that stand for another person than before. */
  readonly persons: ReadonlySet<ProfileId>;
}

/** What the shard's messages with positions in (after, through] bring for these profiles. */
export async function readUnfolded(
  feed: EventsFeed,
  range: {
    readonly organizationId: OrganizationId;
    readonly shard: number;
    readonly after: number;
    readonly through: number;
  },
  profiles: ReadonlyMap<ProfileId, unknown>,
): Promise<UnfoldedNews> {
  const events = new Map<ProfileId, { readonly position: number; readonly event: ProfileEvent }[]>();
  const persons = new Set<ProfileId>();
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
      for (const person of message.persons) {
        if (person.organizationId === range.organizationId) persons.add(person.profileId);
      }
    }
  }
  return { events, persons };
}

async function readMessages(feed: EventsFeed, shard: number, after: number): Promise<DecodedMessage[]> {
  try {
    const messages = (await feed.read(shard, after, MESSAGES_AT_ONCE)).map(decodeMessage);
    if (messages.length > 0) return messages;
  } catch (error) {
    // It is on its way to the dead letters. Once the shard has passed it, this goes on.
    if (!(error instanceof PoisonMessage)) throw error;
  }
  throw new AppError("UNAVAILABLE");
}

export interface ReadAgain {
  readonly profileId: ProfileId;
  /** As it is stored. */
  readonly before: ProfileState | undefined;
  /** Undefined where it is one of many that a backfill meets. */
  readonly reason: DerivationReason | undefined;
  readonly completeSinceMs: number;
  /** When the snapshot was asked for: what was ahead then waits in the new state. */
  readonly scannedMs: number;
  readonly unfolded: UnfoldedNews;
  /** The unfinished ones of the shard. */
  readonly backfills: readonly Backfill[];
}

/** Adds to `fresh`, which was read from the raw events, what was known beyond them. */
export function keepKnown(fresh: ProfileState, definitions: Definitions, read: ReadAgain): void {
  const { profileId, before, reason, completeSinceMs, unfolded } = read;
  if (completeSinceMs === 0) return;
  const unfinished = new Set(
    read.backfills.filter(({ afterProfileId }) => afterProfileId < profileId).map((one) => one.segmentId),
  );
  const isOther =
    before?.isFrozen === true || unfolded.persons.has(profileId) || (reason ?? "doubt") !== "doubt";
  recollect(fresh, definitions, {
    completeSinceMs,
    nowMs: read.scannedMs,
    kept: isOther ? undefined : caughtUp(before ?? emptyState(), definitions, read),
    // A doubt that names no fact is about a message that nobody could fold.
    isDoubted: unfinished.has(ALL_SEGMENTS) || (reason === "doubt" && (before?.lacking.size ?? 0) === 0),
    isKnown: (fact) => isCounted(fact, unfinished),
  });
}

/** Some rule that reads it has had its past counted, so it holds all that was ever folded. */
export function isCounted({ segments }: TrackedFact, unfinished: ReadonlySet<string>): boolean {
  for (const { id } of segments) if (!unfinished.has(id)) return true;
  return false;
}

/** The stored state as it will be once all that the snapshot holds has been folded. */
function caughtUp(state: ProfileState, definitions: Definitions, read: ReadAgain): ProfileState {
  const { profileId, scannedMs, unfolded } = read;
  settleFutures(state, definitions, scannedMs, new Set());
  for (const { position, event } of unfolded.events.get(profileId) ?? []) {
    const isAhead = event.instant[0] > scannedMs;
    if (position > state.asOf && !isAhead) recordEvent(state, definitions, event, scannedMs, new Set());
  }
  return state;
}
