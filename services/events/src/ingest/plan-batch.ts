// Plans a batch: classifies each event as new, duplicate or rejected and creates the missing profiles. Pure:
// the input is the stored context, the output are the rows to insert.
import { assert, type IdSource, type ProfileId, SHARD_COUNT, shardOf } from "@muster/core";
import { AppError } from "@muster/errors";
import { type Profile, type ProfileLink, profileOfIdentity } from "../profiles/profile.ts";
import { hasContent, type TrackedEvent } from "../tracked-events/tracked-event.ts";
import { type BatchFacts, emptyFacts, type OrganizationFacts } from "./batch-facts.ts";
import type { EventOutcome, StoredOutcome, Submission, SubmittedEvent } from "./submission.ts";

/** The new profiles and events of one shard, in the order of publication. */
export interface ShardShare {
  readonly shard: number;
  readonly newProfiles: Profile[];
  readonly events: TrackedEvent[];
  /** The trace of the first contributing request that has one. */
  traceParent: string;
}

export interface BatchPlan {
  readonly newProfiles: readonly Profile[];
  readonly newEvents: readonly TrackedEvent[];
  /** The outcome of each new event, in the order of `newEvents`. */
  readonly stored: readonly StoredOutcome[];
  /** New events with a client id but without a client time. */
  readonly newUndated: readonly TrackedEvent[];
  /** The changed shards, in shard order. */
  readonly shares: readonly ShardShare[];
  /** One list per submission, in the order of the submissions. */
  readonly outcomes: readonly (readonly EventOutcome[])[];
  /** Whether an event of the batch was a duplicate. */
  readonly hasRepeats: boolean;
}

export function planBatch(
  submissions: readonly Submission[],
  facts: BatchFacts,
  profileIds: IdSource,
  nowMs: number,
): BatchPlan {
  const planner = new Planner(profileIds, nowMs);
  const outcomes = submissions.map((submission) => {
    const place = { submission, facts: facts.get(submission.organizationId) ?? emptyFacts() };
    return submission.events.map((event) => planner.place(event, place));
  });
  return planner.finish(outcomes);
}

interface Place {
  readonly submission: Submission;
  readonly facts: OrganizationFacts;
}

class Planner {
  readonly #profileIds: IdSource;
  readonly #nowMs: number;
  readonly #newProfiles: Profile[] = [];
  readonly #newEvents: TrackedEvent[] = [];
  readonly #newUndated: TrackedEvent[] = [];
  readonly #stored: StoredOutcome[] = [];
  readonly #shares: (ShardShare | undefined)[] = new Array(SHARD_COUNT).fill(undefined);
  readonly #shards = new Map<ProfileId, number>();
  #hasRepeats = false;

  constructor(profileIds: IdSource, nowMs: number) {
    this.#profileIds = profileIds;
    this.#nowMs = nowMs;
  }

  place(event: SubmittedEvent, place: Place): EventOutcome {
    const { facts } = place;
    const known = facts[event.identityKind].get(event.identity);
    if (known === undefined && event.identityKind === "profile_id") {
      return { status: "rejected", error: new AppError("PROFILE_NOT_FOUND") };
    }
    if (wasErased(event, facts)) {
      this.#hasRepeats = true;
      return { status: "rejected", error: new AppError("EVENT_ERASED") };
    }
    const stored = storedBefore(event, facts);
    if (stored !== undefined) {
      this.#hasRepeats = true;
      return hasContent(stored, known?.rootId, event)
        ? { status: "duplicate", event: stored }
        : { status: "rejected", error: new AppError("EVENT_CONFLICT") };
    }
    const added = this.#add(event, known ?? this.#addProfile(event, place), place);
    const outcome: StoredOutcome = { status: "stored", event: added, alertCodes: [] };
    this.#stored.push(outcome);
    return outcome;
  }

  finish(outcomes: readonly (readonly EventOutcome[])[]): BatchPlan {
    return {
      newProfiles: this.#newProfiles,
      newEvents: this.#newEvents,
      newUndated: this.#newUndated,
      stored: this.#stored,
      shares: this.#shares.filter((share) => share !== undefined),
      outcomes,
      hasRepeats: this.#hasRepeats,
    };
  }

  #add(event: SubmittedEvent, link: ProfileLink, { submission, facts }: Place): TrackedEvent {
    const stored: TrackedEvent = {
      organizationId: submission.organizationId,
      id: event.id,
      profileId: link.profileId,
      rootId: link.rootId,
      name: event.name,
      occurredMs: event.occurredMs,
      receivedMs: event.receivedMs,
      clientEventId: event.clientEventId,
      properties: event.properties,
    };
    this.#newEvents.push(stored);
    if (event.clientEventId !== undefined) {
      if (event.isDated) {
        facts.eventsById.set(stored.id, stored);
      } else {
        facts.eventsByUndatedId.set(event.clientEventId, stored);
        this.#newUndated.push(stored);
      }
    }
    this.#shareOf(submission, link.rootId).events.push(stored);
    return stored;
  }

  #addProfile(event: SubmittedEvent, { submission, facts }: Place): ProfileLink {
    const kind = event.identityKind;
    assert(kind !== "profile_id", "an unknown profile id cannot create a profile");
    const profileId = this.#profileIds.next<ProfileId>(this.#nowMs);
    const identity = { kind, value: event.identity };
    const profile = profileOfIdentity(submission.organizationId, profileId, identity, this.#nowMs);
    const link = { profileId, rootId: profileId };
    facts[kind].set(event.identity, link);
    this.#newProfiles.push(profile);
    this.#shareOf(submission, profileId).newProfiles.push(profile);
    return link;
  }

  #shareOf(submission: Submission, profileId: ProfileId): ShardShare {
    let shard = this.#shards.get(profileId);
    if (shard === undefined) {
      shard = shardOf(submission.organizationId, profileId);
      this.#shards.set(profileId, shard);
    }
    let share = this.#shares[shard];
    if (share === undefined) {
      share = { shard, newProfiles: [], events: [], traceParent: submission.traceParent };
      this.#shares[shard] = share;
    } else if (share.traceParent === "") {
      share.traceParent = submission.traceParent;
    }
    return share;
  }
}

function wasErased(event: SubmittedEvent, facts: OrganizationFacts): boolean {
  if (event.clientEventId === undefined) return false;
  return event.isDated ? facts.erasedIds.has(event.id) : facts.erasedUndatedIds.has(event.clientEventId);
}

function storedBefore(event: SubmittedEvent, facts: OrganizationFacts): TrackedEvent | undefined {
  if (event.clientEventId === undefined) return undefined;
  return event.isDated ? facts.eventsById.get(event.id) : facts.eventsByUndatedId.get(event.clientEventId);
}
