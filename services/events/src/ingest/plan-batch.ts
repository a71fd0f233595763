// Plans a batch: classifies each event as new, duplicate or rejected and creates the missing profiles.
// No I/O: the input is the stored context, the output the rows to insert.
import { assert, type IdSource, type ProfileId, SHARD_COUNT, shardOf } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ShardChanges } from "../domain-events/domain-events.ts";
import { hasSameContent, type TrackedEvent } from "../event-storage/tracked-event.ts";
import { newProfileForIdentity, type Profile, type ProfileLink } from "../profile-storage/profile.ts";
import { type BatchContext, emptyContext, type OrganizationContext } from "./batch-context.ts";
import type { EventOutcome, Submission, SubmittedEvent } from "./submission.ts";

/** The rows to insert and the outcome of every event of a batch. */
export interface BatchPlan {
  readonly newProfiles: readonly Profile[];
  readonly newEvents: readonly TrackedEvent[];
  /** New events with a client id but without a client time. */
  readonly newUndated: readonly TrackedEvent[];
  /** The changed shards, in shard order. */
  readonly shardChanges: readonly ShardChanges[];
  /** One list per submission, in the order of the submissions. */
  readonly outcomes: readonly (readonly EventOutcome[])[];
  /** Whether an event of the batch was a duplicate. */
  readonly hasDuplicates: boolean;
}

/** Returns the plan with the codes of fired alert rules in the outcomes of new events. */
export function withAlertCodes(
  plan: BatchPlan,
  alertCodes: ReadonlyMap<TrackedEvent, readonly number[]> = new Map(),
): BatchPlan {
  if (alertCodes.size === 0) return plan;
  const withCodes = (outcome: EventOutcome): EventOutcome => {
    if (outcome.status !== "stored") return outcome;
    return { ...outcome, alertCodes: alertCodes.get(outcome.event) ?? outcome.alertCodes };
  };
  return { ...plan, outcomes: plan.outcomes.map((own) => own.map(withCodes)) };
}

/**
 * Plans the events in order, so that a later event of the batch finds profiles and events of earlier ones.
 */
export function planBatch(
  submissions: readonly Submission[],
  context: BatchContext,
  { profileIds, nowMs, rejected = new Map() }: PlanOptions,
): BatchPlan {
  const planner = new Planner(profileIds, nowMs);
  const outcomes = submissions.map((submission) => {
    const input = { submission, context: context.get(submission.organizationId) ?? emptyContext() };
    return submission.events.map((event, index): EventOutcome => {
      const error = rejected.get(index);
      return error === undefined ? planner.planEvent(event, input) : { status: "rejected", error };
    });
  });
  return planner.finish(outcomes);
}

/** The sources of new profiles, and the events to leave out. */
export interface PlanOptions {
  readonly profileIds: IdSource;
  readonly nowMs: number;
  /** Errors of events by index in an exclusive submission. */
  readonly rejected?: ReadonlyMap<number, AppError>;
}

interface PlanInput {
  readonly submission: Submission;
  readonly context: OrganizationContext;
}

class Planner {
  readonly #profileIds: IdSource;
  readonly #nowMs: number;
  readonly #newProfiles: Profile[] = [];
  readonly #newEvents: TrackedEvent[] = [];
  readonly #newUndated: TrackedEvent[] = [];
  readonly #shardChanges: (ShardChanges | undefined)[] = new Array(SHARD_COUNT).fill(undefined);
  readonly #shards = new Map<ProfileId, number>();
  #hasDuplicates = false;

  constructor(profileIds: IdSource, nowMs: number) {
    this.#profileIds = profileIds;
    this.#nowMs = nowMs;
  }

  planEvent(event: SubmittedEvent, input: PlanInput): EventOutcome {
    const { context } = input;
    const known = context[event.identityKind].get(event.identity);
    if (known === undefined && event.identityKind === "profile_id") {
      return { status: "rejected", error: new AppError("PROFILE_NOT_FOUND") };
    }
    if (wasErased(event, context)) {
      this.#hasDuplicates = true;
      return { status: "rejected", error: new AppError("EVENT_ERASED") };
    }
    const stored = findStored(event, context);
    if (stored !== undefined) {
      this.#hasDuplicates = true;
      return hasSameContent(stored, known?.rootId, event)
        ? { status: "duplicate", event: stored }
        : { status: "rejected", error: new AppError("EVENT_CONFLICT") };
    }
    const added = this.#add(event, known ?? this.#addProfile(event, input), input);
    return { status: "stored", event: added, alertCodes: [] };
  }

  finish(outcomes: readonly (readonly EventOutcome[])[]): BatchPlan {
    return {
      newProfiles: this.#newProfiles,
      newEvents: this.#newEvents,
      newUndated: this.#newUndated,
      shardChanges: this.#shardChanges.filter((changes) => changes !== undefined),
      outcomes,
      hasDuplicates: this.#hasDuplicates,
    };
  }

  #add(event: SubmittedEvent, link: ProfileLink, { submission, context }: PlanInput): TrackedEvent {
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
    if (event.repeatedBy === "id") {
      context.eventsById.set(stored.id, stored);
    } else if (event.clientEventId !== undefined) {
      context.eventsByUndatedId.set(event.clientEventId, stored);
      this.#newUndated.push(stored);
    }
    this.#changesOf(submission, link.rootId).events.push(stored);
    return stored;
  }

  #addProfile(event: SubmittedEvent, { submission, context }: PlanInput): ProfileLink {
    const kind = event.identityKind;
    assert(kind !== "profile_id", "an unknown profile id cannot create a profile");
    const profileId = this.#profileIds.next<ProfileId>(this.#nowMs);
    const identity = { kind, value: event.identity };
    const profile = newProfileForIdentity(submission.organizationId, profileId, identity, this.#nowMs);
    const link = { profileId, rootId: profileId };
    context[kind].set(event.identity, link);
    this.#newProfiles.push(profile);
    this.#changesOf(submission, profileId).newProfiles.push(profile);
    return link;
  }

  #changesOf(submission: Submission, profileId: ProfileId): ShardChanges {
    let shard = this.#shards.get(profileId);
    if (shard === undefined) {
      shard = shardOf(submission.organizationId, profileId);
      this.#shards.set(profileId, shard);
    }
    let changes = this.#shardChanges[shard];
    if (changes === undefined) {
      changes = { shard, newProfiles: [], events: [], traceParent: submission.traceParent };
      this.#shardChanges[shard] = changes;
    } else if (changes.traceParent === "") {
      changes.traceParent = submission.traceParent;
    }
    return changes;
  }
}

function wasErased(event: SubmittedEvent, context: OrganizationContext): boolean {
  if (event.repeatedBy === "id") return context.erasedIds.has(event.id);
  return event.clientEventId !== undefined && context.erasedUndatedIds.has(event.clientEventId);
}

function findStored(event: SubmittedEvent, context: OrganizationContext): TrackedEvent | undefined {
  if (event.repeatedBy === "id") return context.eventsById.get(event.id);
  return event.clientEventId === undefined ? undefined : context.eventsByUndatedId.get(event.clientEventId);
}
