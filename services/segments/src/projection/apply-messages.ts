// Applies tracked events, profiles and identity changes to facts and memberships. The consumer drops repeated
// messages before. A profile rebuilt from a later snapshot skips the messages that the snapshot contains.

import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { type Clock, type OrganizationId, WorkBudget } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Announcer } from "../announcements/announcer.ts";
import { ChangedSegments } from "../announcements/cause.ts";
import { type ChangedProfile, saveChangedProfiles } from "../announcements/changed-profile.ts";
import { applyDueEvents, recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions, SegmentDefinition } from "../engine/state/definitions.ts";
import {
  earlier,
  evaluateSegments,
  type MembershipUpdate,
  mergeUpdates,
} from "../engine/state/membership.ts";
import { emptyState, needsRebuild, type ProfileState } from "../engine/state/profile-state.ts";
import { addErasures } from "../erasure/erasure-store.ts";
import {
  type DecodedMessage,
  erasuresIn,
  type IdentityChange,
  type ProfileEvent,
  type UpdatedProfile,
} from "../events/decode-message.ts";
import { compareProfileKeys, keyOf, type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import { addProfileRebuilds, type ProfileRebuild } from "../profiles/rebuild-store.ts";
import { loadStates, type StoredProfile } from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";
import type { MessageMatcher } from "./match-messages.ts";

export interface ApplyDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly definitions: DefinitionsCache;
  /** Decodes messages, and returns results of predicates that were evaluated before. */
  readonly matcher: MessageMatcher;
}

/** Counts and due times of an applied batch. */
export interface AppliedMessages {
  readonly events: number;
  readonly membershipChanges: number;
  /** By shard, the earliest due time of a changed profile. */
  readonly nextDueTimes: ReadonlyMap<number, number>;
  /**
   * The number of profiles marked for a rebuild: an event came too late for its order, or an identity
   * changed.
   */
  readonly rebuilds: number;
  /** Predicates that were not evaluated on an event or on traits, because the budget was used up. */
  readonly unknownPredicates: number;
}

/** The content of a message for a single profile: exactly one of the optional fields. */
interface ProfileUpdate {
  readonly position: number;
  readonly event?: ProfileEvent;
  readonly profile?: UpdatedProfile;
  readonly identityChange?: IdentityChange;
}

/** All updates of a profile in the batch. */
interface ProfileWork {
  readonly key: ProfileKey;
  readonly definitions: Definitions;
  readonly updates: ProfileUpdate[];
}

/** Writes states, memberships, marks and erasures in the given transaction. */
export async function applyMessages(
  deps: ApplyDeps,
  trx: Transaction,
  messages: readonly Envelope[],
): Promise<AppliedMessages> {
  const nowMs = deps.clock.nowMs();
  const decoded = messages.map((message) => deps.matcher.decode(message));
  const definitions = await deps.definitions.load(trx, organizationsOf(decoded), nowMs);
  const works = [...groupByProfile(decoded, definitions).values()];
  works.sort((a, b) => compareProfileKeys(a.key, b.key));
  const stored = await loadStates(
    trx,
    works.map(({ key }) => key),
  );
  const application = { nowMs, matcher: deps.matcher, unknownPredicates: 0 };
  const changed = await applyInSlices(deps, works, (work) => {
    const { organizationId, profileId } = work.key;
    return applyToProfile(work, stored.get(profileKeyText(organizationId, profileId)), application);
  });
  const rebuilds = works.flatMap((work, index) => rebuildOf(work, changed[index]?.state, nowMs) ?? []);
  await addProfileRebuilds(trx, rebuilds);
  await addErasures(trx, erasuresIn(decoded.flatMap(({ identityChanges }) => identityChanges)), nowMs);
  await saveChangedProfiles(trx, changed, deps.announcer, nowMs);
  return {
    events: decoded.reduce((sum, { events }) => sum + events.length, 0),
    membershipChanges: changed.reduce((sum, { changes }) => sum + changes.length, 0),
    nextDueTimes: nextDueTimesOf(changed),
    rebuilds: rebuilds.length,
    unknownPredicates: application.unknownPredicates,
  };
}

/** Time between two turns of the event loop. Long, because a transaction is open. */
const SLICE_MS = 20;

/**
 * Applies profile by profile. In the turns of the event loop, other writers of the database wait for this
 * transaction, as they would without the turns; requests and reads continue.
 */
async function applyInSlices(
  { clock }: ApplyDeps,
  works: readonly ProfileWork[],
  apply: (work: ProfileWork) => ChangedProfile,
): Promise<ChangedProfile[]> {
  const onSpent = () => new Error("the work of a batch has no limit of its own");
  const budget = new WorkBudget({ clock, maxUnits: Number.POSITIVE_INFINITY, onSpent, sliceMs: SLICE_MS });
  const changed: ChangedProfile[] = [];
  for (const work of works) {
    changed.push(apply(work));
    budget.spend(UNITS_PER_UPDATE * work.updates.length);
    if (budget.isSliceOver) await budget.turn();
  }
  return changed;
}

/** Above the cost of reading the clock, and below the cost of most updates. */
const UNITS_PER_UPDATE = 20;

/** The mark that makes readers wait, if the profile needs a rebuild. */
function rebuildOf(
  { key, updates }: ProfileWork,
  state: ProfileState | undefined,
  nowMs: number,
): ProfileRebuild | undefined {
  const identityChange = updates.findLast((one) => one.identityChange !== undefined)?.identityChange;
  if (identityChange !== undefined) return { ...key, reason: identityChange.reason };
  if (state === undefined || !needsRebuild(state, nowMs)) return undefined;
  // From here on the mark, not the due time, makes readers wait.
  state.rebuildDueMs = undefined;
  return { ...key, reason: "stale" };
}

function nextDueTimesOf(changed: readonly ChangedProfile[]): Map<number, number> {
  const dueTimes = new Map<number, number>();
  for (const { shard, nextDueMs } of changed) {
    const soonestMs = earlier(dueTimes.get(shard), nextDueMs);
    if (soonestMs !== undefined) dueTimes.set(shard, soonestMs);
  }
  return dueTimes;
}

function organizationsOf(decoded: readonly DecodedMessage[]): OrganizationId[] {
  const ids = new Set<OrganizationId>();
  for (const { events, profiles, identityChanges } of decoded) {
    for (const { organizationId } of events) ids.add(organizationId);
    for (const { organizationId } of profiles) ids.add(organizationId);
    for (const { organizationId } of identityChanges) ids.add(organizationId);
  }
  return [...ids];
}

/** Groups the relevant content of messages by profile, in order of position. */
function groupByProfile(
  decoded: readonly DecodedMessage[],
  definitions: ReadonlyMap<OrganizationId, Definitions>,
): Map<string, ProfileWork> {
  const works = new Map<string, ProfileWork>();
  const add = (key: ProfileKey, own: Definitions, update: ProfileUpdate) => {
    const text = profileKeyText(key.organizationId, key.profileId);
    const work = works.get(text);
    if (work !== undefined) work.updates.push(update);
    else works.set(text, { key: keyOf(key), definitions: own, updates: [update] });
  };
  for (const { shard, position, events, profiles, identityChanges } of decoded) {
    // The profiles of a message were stored before its events.
    for (const profile of profiles) {
      const own = definitions.get(profile.organizationId);
      if (own?.readsProfiles === true) add(profile, own, { position, profile });
    }
    for (const event of events) {
      const { organizationId, profileId } = event;
      const own = definitions.get(organizationId);
      if (own === undefined || own.candidates(event.eventName).length === 0) continue;
      add({ organizationId, shard, profileId }, own, { position, event });
    }
    for (const identityChange of identityChanges) {
      const own = definitions.get(identityChange.organizationId);
      if (own !== undefined) add(identityChange, own, { position, identityChange });
    }
  }
  return works;
}

/** What applying a batch needs for each profile, and what it counts. */
interface Application {
  readonly nowMs: number;
  readonly matcher: MessageMatcher;
  unknownPredicates: number;
}

function applyToProfile(
  work: ProfileWork,
  stored: StoredProfile | undefined,
  application: Application,
): ChangedProfile {
  const { definitions } = work;
  const { nowMs } = application;
  const state = stored?.state ?? emptyState();
  const changed = new ChangedSegments();
  let update: MembershipUpdate = { changes: [], limitChanges: [], nextDueMs: undefined };
  const evaluate = (segments: Iterable<SegmentDefinition>): void => {
    update = mergeUpdates(state, update, evaluateSegments(state, definitions, segments, nowMs));
  };
  if (!state.isAwaitingRebuild) applyDueEvents(state, definitions, nowMs, changed);
  for (const one of work.updates) {
    if (one.position > state.asOf && !state.isAwaitingRebuild) {
      // A membership that becomes unknown keeps its value as of all earlier updates, however they are batched.
      const context = { state, definitions, changed, beforeLimiting: evaluate };
      applyUpdate(one, context, application);
    }
  }
  if (!state.isAwaitingRebuild) evaluate(changed);
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
