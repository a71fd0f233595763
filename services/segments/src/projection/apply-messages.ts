// Applies tracked events, profiles and identity changes to facts and memberships. The consumer drops repeated
// messages before. A profile rebuilt from a later snapshot skips the messages that the snapshot contains.

import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Announcer } from "../announcements/announcer.ts";
import { ChangedSegments } from "../announcements/cause.ts";
import { type ChangedProfile, saveChangedProfiles } from "../announcements/changed-profile.ts";
import { applyDueEvents, recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { earlier, evaluateSegments } from "../engine/state/membership.ts";
import { emptyState, needsRebuild, type ProfileState } from "../engine/state/profile-state.ts";
import { addErasures } from "../erasure/erasure-store.ts";
import {
  type DecodedMessage,
  decodeMessage,
  erasuresIn,
  type IdentityChange,
  type ProfileEvent,
  type UpdatedProfile,
} from "../events/decode-message.ts";
import { compareProfileKeys, keyOf, type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import { addProfileRebuilds, type ProfileRebuild } from "../profiles/rebuild-store.ts";
import { loadStates, type StoredProfile } from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";

export interface ApplyDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly definitions: DefinitionsCache;
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
  const decoded = messages.map(decodeMessage);
  const definitions = await deps.definitions.load(trx, organizationsOf(decoded), nowMs);
  const works = [...groupByProfile(decoded, definitions).values()];
  works.sort((a, b) => compareProfileKeys(a.key, b.key));
  const stored = await loadStates(
    trx,
    works.map(({ key }) => key),
  );
  const changed = works.map((work) => {
    const { organizationId, profileId } = work.key;
    return applyToProfile(work, stored.get(profileKeyText(organizationId, profileId)), nowMs);
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
  };
}

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

function applyToProfile(work: ProfileWork, stored: StoredProfile | undefined, nowMs: number): ChangedProfile {
  const { definitions } = work;
  const state = stored?.state ?? emptyState();
  const changed = new ChangedSegments();
  if (!state.isAwaitingRebuild) applyDueEvents(state, definitions, nowMs, changed);
  for (const update of work.updates) {
    if (update.position > state.asOf && !state.isAwaitingRebuild) {
      applyUpdate(state, definitions, update, changed, nowMs);
    }
  }
  const { changes, nextDueMs } = state.isAwaitingRebuild
    ? { changes: [], nextDueMs: undefined }
    : evaluateSegments(state, definitions, changed, nowMs);
  return {
    ...work.key,
    state,
    // Only lowered here: an unevaluated segment may be due earlier.
    nextDueMs: state.isAwaitingRebuild ? undefined : earlier(stored?.nextDueMs, nextDueMs),
    isStored: stored !== undefined,
    changes,
    causeOf: (change) => changed.causeOf(change, stored?.nextDueMs, nowMs),
  };
}

function applyUpdate(
  state: ProfileState,
  definitions: Definitions,
  { event, profile, identityChange }: ProfileUpdate,
  changed: ChangedSegments,
  nowMs: number,
): void {
  if (identityChange !== undefined) {
    state.isAwaitingRebuild = true;
    return;
  }
  changed.event = event ?? { instant: [nowMs, undefined], receivedMs: nowMs };
  if (profile !== undefined) recordProfile(state, definitions, profile, changed);
  else if (event !== undefined) recordEvent(state, definitions, event, nowMs, changed);
}
