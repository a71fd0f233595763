// Applies tracked events, profiles and identity changes to facts and memberships. The consumer drops repeated
// messages before. A profile rebuilt from a later snapshot skips the messages that the snapshot contains.

import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Announcer } from "../announcements/announcer.ts";
import { type ChangedProfile, saveChangedProfiles } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { earlier } from "../engine/state/membership.ts";
import { needsRebuild, type ProfileState } from "../engine/state/profile-state.ts";
import { addErasures } from "../erasure/erasure-store.ts";
import { type DecodedMessage, erasuresIn } from "../events/decode-message.ts";
import { compareProfileKeys, keyOf, type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import { addProfileRebuilds, type ProfileRebuild } from "../profiles/rebuild-store.ts";
import { loadStates } from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";
import { TransactionSlices } from "../transaction-slices.ts";
import { applyToProfile, type ProfileUpdate, type ProfileWork } from "./apply-to-profile.ts";
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
  const { matcher, clock } = deps;
  const application = { nowMs, matcher, slices: new TransactionSlices(clock), unknownPredicates: 0 };
  const changed: ChangedProfile[] = [];
  for (const work of works) {
    const { organizationId, profileId } = work.key;
    const profile = stored.get(profileKeyText(organizationId, profileId));
    changed.push(await applyToProfile(work, profile, application));
  }
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
