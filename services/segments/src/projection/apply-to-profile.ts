// Applies the updates of a profile to the facts and memberships of the profile.
import { ChangedSegments } from "../announcements/cause.ts";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import { applyDueEvents, recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions, SegmentDefinition } from "../engine/state/definitions.ts";
import {
  earlier,
  evaluateInSteps,
  evaluateSegments,
  type MembershipUpdate,
  mergeUpdates,
} from "../engine/state/membership.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import type { IdentityChange, ProfileEvent, UpdatedProfile } from "../events/decode-message.ts";
import type { ProfileKey } from "../profiles/profile-key.ts";
import type { StoredProfile } from "../profiles/state-store.ts";
import type { TransactionSlices } from "../transaction-slices.ts";
import type { MessageMatcher } from "./match-messages.ts";

/** The content of a message for a single profile: exactly one of the optional fields. */
export interface ProfileUpdate {
  readonly position: number;
  readonly event?: ProfileEvent;
  readonly profile?: UpdatedProfile;
  readonly identityChange?: IdentityChange;
}

/** All updates of a profile in the batch. */
export interface ProfileWork {
  readonly key: ProfileKey;
  readonly definitions: Definitions;
  readonly updates: ProfileUpdate[];
}

/** The context of all profiles of a batch, and a count. */
export interface Application {
  readonly nowMs: number;
  /** Results of predicates that were evaluated before the transaction. */
  readonly matcher: Pick<MessageMatcher, "eventMatch" | "traitMatch">;
  readonly slices: TransactionSlices;
  unknownPredicates: number;
}

export async function applyToProfile(
  work: ProfileWork,
  stored: StoredProfile | undefined,
  application: Application,
): Promise<ChangedProfile> {
  const { definitions } = work;
  const { nowMs, slices } = application;
  const state = stored?.state ?? emptyState();
  const changed = new ChangedSegments();
  let update: MembershipUpdate = { changes: [], limitChanges: [], nextDueMs: undefined };
  const evaluate = (segments: Iterable<SegmentDefinition>): void => {
    update = mergeUpdates(state, update, evaluateSegments(state, definitions, segments, nowMs));
  };
  if (!state.isAwaitingRebuild) applyDueEvents(state, definitions, nowMs, changed);
  for (const one of work.updates) {
    if (one.position > state.asOf && !state.isAwaitingRebuild) {
      // A membership that becomes unknown keeps the value as of all earlier updates, in any grouping of messages.
      const context = { state, definitions, changed, beforeLimiting: evaluate };
      applyUpdate(one, context, application);
      if (slices.isOver()) await slices.turn();
    }
  }
  if (!state.isAwaitingRebuild) {
    const last = await slices.run(evaluateInSteps(state, definitions, changed, nowMs));
    update = mergeUpdates(state, update, last);
  }
  const { changes, limitChanges, nextDueMs } = update;
  return {
    ...work.key,
    state,
    // Only lowered here: an unevaluated segment may be due earlier.
    nextDueMs: state.isAwaitingRebuild ? undefined : earlier(stored?.nextDueMs, nextDueMs),
    isStored: stored !== undefined,
    changes,
    limitChanges,
    causeOf: (change) => changed.causeOf(change, stored?.nextDueMs, nowMs),
  };
}

interface UpdateContext {
  readonly state: ProfileState;
  readonly definitions: Definitions;
  readonly changed: ChangedSegments;
  readonly beforeLimiting: (segments: Iterable<SegmentDefinition>) => void;
}

function applyUpdate(
  { event, profile, identityChange }: ProfileUpdate,
  { state, definitions, changed, beforeLimiting }: UpdateContext,
  application: Application,
): void {
  const { nowMs, matcher } = application;
  if (identityChange !== undefined) {
    state.isAwaitingRebuild = true;
    return;
  }
  changed.event = event ?? { instant: [nowMs, undefined], receivedMs: nowMs };
  if (profile !== undefined) {
    const options = { match: matcher.traitMatch(profile), beforeLimiting };
    application.unknownPredicates += recordProfile(
      state,
      definitions,
      profile,
      changed,
      options,
    ).unknown.length;
  } else if (event !== undefined) {
    const options = { match: matcher.eventMatch(event), beforeLimiting };
    const { unknown } = recordEvent(state, definitions, event, nowMs, changed, options);
    application.unknownPredicates += unknown.length;
  }
}
