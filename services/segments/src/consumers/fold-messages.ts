// Applies tracked events, profiles and identity changes to facts and memberships. The consumer drops repeated
// messages before. A profile rebuilt from a later snapshot skips the messages that the snapshot contains.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import { addProfileDerivations, type ProfileDerivation } from "../backfills/derivation-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { TouchedSegments } from "../changes/cause.ts";
import type { Definitions } from "../engine/definitions.ts";
import { earlier, evaluateSegments } from "../engine/membership.ts";
import {
  emptyState,
  needsDerivation,
  type ProfileState,
  recordEvent,
  recordProfile,
  settleFutures,
} from "../engine/profile-state.ts";
import { addErasures } from "../erasure/erasure-store.ts";
import {
  compareProfileKeys,
  loadStates,
  profileKeyText,
  type StoredProfile,
} from "../profiles/state-store.ts";
import { keyOf, saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import {
  type ChangedPerson,
  type ChangedProfile,
  type DecodedMessage,
  decodeMessage,
  erasedOf,
  type ProfileEvent,
} from "./decode-message.ts";

export interface FoldDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly definitions: DefinitionsCache;
}

/** Counts and due times of an applied batch. */
export interface Folded {
  readonly events: number;
  readonly membershipChanges: number;
  /** By shard, the earliest due time of a changed profile. */
  readonly nextDues: ReadonlyMap<number, number>;
  /**
   * The number of profiles marked for a rebuild: an event came too late for its order, or an identity
   * changed.
   */
  readonly derivations: number;
}

/** The content of a message for a single profile: exactly one of the optional fields. */
interface News {
  readonly position: number;
  readonly event?: ProfileEvent;
  readonly profile?: ChangedProfile;
  readonly person?: ChangedPerson;
}

/** All updates of a profile in the batch. */
interface ProfileWork {
  readonly key: ProfileKey;
  readonly definitions: Definitions;
  readonly news: News[];
}

/** Writes states, memberships, marks and erasures in the given transaction. */
export async function foldMessages(
  deps: FoldDeps,
  trx: Transaction,
  messages: readonly Envelope[],
): Promise<Folded> {
  const nowMs = deps.clock.nowMs();
  const decoded = messages.map(decodeMessage);
  const definitions = await deps.definitions.load(trx, organizationsOf(decoded), nowMs);
  const works = [...gather(decoded, definitions).values()];
  works.sort((a, b) => compareProfileKeys(a.key, b.key));
  const stored = await loadStates(
    trx,
    works.map(({ key }) => key),
  );
  const touched = works.map((work) => {
    const { organizationId, profileId } = work.key;
    return foldProfile(work, stored.get(profileKeyText(organizationId, profileId)), nowMs);
  });
  const derive = works.flatMap((work, index) => markOf(work, touched[index]?.state, nowMs) ?? []);
  await addProfileDerivations(trx, derive);
  await addErasures(trx, erasedOf(decoded.flatMap(({ persons }) => persons)), nowMs);
  await saveTouched(trx, touched, deps.announcer, nowMs);
  return {
    events: decoded.reduce((sum, { events }) => sum + events.length, 0),
    membershipChanges: touched.reduce((sum, { changes }) => sum + changes.length, 0),
    nextDues: nextDuesOf(touched),
    derivations: derive.length,
  };
}

/** The mark that makes readers wait, if the profile needs a rebuild. */
function markOf(
  { key, news }: ProfileWork,
  state: ProfileState | undefined,
  nowMs: number,
): ProfileDerivation | undefined {
  const person = news.findLast((one) => one.person !== undefined)?.person;
  if (person !== undefined) return { ...key, reason: person.reason };
  if (state === undefined || !needsDerivation(state, nowMs)) return undefined;
  // From here on the mark, not the due time, makes readers wait.
  state.droppedMs = undefined;
  return { ...key, reason: "doubt" };
}

function nextDuesOf(touched: readonly TouchedProfile[]): Map<number, number> {
  const dues = new Map<number, number>();
  for (const { shard, nextDueMs } of touched) {
    const soonestMs = earlier(dues.get(shard), nextDueMs);
    if (soonestMs !== undefined) dues.set(shard, soonestMs);
  }
  return dues;
}

function organizationsOf(decoded: readonly DecodedMessage[]): OrganizationId[] {
  const ids = new Set<OrganizationId>();
  for (const { events, profiles, persons } of decoded) {
    for (const { organizationId } of events) ids.add(organizationId);
    for (const { organizationId } of profiles) ids.add(organizationId);
    for (const { organizationId } of persons) ids.add(organizationId);
  }
  return [...ids];
}

/** Groups the relevant content of messages by profile, in order of position. */
function gather(
  decoded: readonly DecodedMessage[],
  definitions: ReadonlyMap<OrganizationId, Definitions>,
): Map<string, ProfileWork> {
  const works = new Map<string, ProfileWork>();
  const add = (key: ProfileKey, own: Definitions, news: News) => {
    const text = profileKeyText(key.organizationId, key.profileId);
    const work = works.get(text);
    if (work !== undefined) work.news.push(news);
    else works.set(text, { key: keyOf(key), definitions: own, news: [news] });
  };
  for (const { shard, position, events, profiles, persons } of decoded) {
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
    for (const person of persons) {
      const own = definitions.get(person.organizationId);
      if (own !== undefined) add(person, own, { position, person });
    }
  }
  return works;
}

function foldProfile(work: ProfileWork, stored: StoredProfile | undefined, nowMs: number): TouchedProfile {
  const { definitions } = work;
  const state = stored?.state ?? emptyState();
  const touched = new TouchedSegments();
  if (!state.isFrozen) settleFutures(state, definitions, nowMs, touched);
  for (const news of work.news)
    if (news.position > state.asOf && !state.isFrozen) take(state, definitions, news, touched, nowMs);
  const { changes, nextDueMs } = state.isFrozen
    ? { changes: [], nextDueMs: undefined }
    : evaluateSegments(state, definitions, touched, nowMs);
  return {
    ...work.key,
    state,
    // Only lowered here: an unevaluated segment may be due earlier.
    nextDueMs: state.isFrozen ? undefined : earlier(stored?.nextDueMs, nextDueMs),
    isStored: stored !== undefined,
    changes,
    causeOf: (change) => touched.causeOf(change, stored?.nextDueMs, nowMs),
  };
}

function take(
  state: ProfileState,
  definitions: Definitions,
  { event, profile, person }: News,
  touched: TouchedSegments,
  nowMs: number,
): void {
  if (person !== undefined) {
    state.isFrozen = true;
    return;
  }
  touched.event = event ?? { instant: [nowMs, undefined], receivedMs: nowMs };
  if (profile !== undefined) recordProfile(state, definitions, profile, touched);
  else if (event !== undefined) recordEvent(state, definitions, event, nowMs, touched);
}
