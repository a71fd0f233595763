// Keeps facts and memberships in step with tracked events. The consumer drops repeats before they come
// here; a profile derived from a later snapshot skips what that snapshot already held.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { TouchedSegments } from "../changes/cause.ts";
import type { Definitions } from "../engine/definitions.ts";
import { earlier, evaluateSegments } from "../engine/membership.ts";
import { emptyState, recordEvent, settleFutures } from "../engine/profile-state.ts";
import {
  compareProfileKeys,
  loadStates,
  profileKeyText,
  type StoredProfile,
} from "../profiles/state-store.ts";
import { saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import { type DecodedMessage, decodeMessage, type ProfileEvent } from "./decode-message.ts";

export interface FoldDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly definitions: DefinitionsCache;
}

export interface Folded {
  readonly events: number;
  readonly membershipChanges: number;
  /** By shard, the earliest instant at which a profile touched here wants a visit. */
  readonly nextDues: ReadonlyMap<number, number>;
}

/** What one fold holds for one profile. */
interface ProfileWork {
  readonly key: ProfileKey;
  readonly definitions: Definitions;
  readonly events: { readonly position: number; readonly event: ProfileEvent }[];
}

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
  await saveTouched(trx, touched, deps.announcer, nowMs);
  return {
    events: decoded.reduce((sum, { events }) => sum + events.length, 0),
    membershipChanges: touched.reduce((sum, { changes }) => sum + changes.length, 0),
    nextDues: nextDuesOf(touched),
  };
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
  for (const { events, profiles } of decoded) {
    for (const { organizationId } of events) ids.add(organizationId);
    for (const { organizationId } of profiles) ids.add(organizationId);
  }
  return [...ids];
}

/** The events that some segment reads, by profile, each profile's in order of position. */
function gather(
  decoded: readonly DecodedMessage[],
  definitions: ReadonlyMap<OrganizationId, Definitions>,
): Map<string, ProfileWork> {
  const works = new Map<string, ProfileWork>();
  for (const { shard, position, events } of decoded) {
    for (const event of events) {
      const { organizationId, profileId } = event;
      const own = definitions.get(organizationId);
      if (own === undefined || own.matching(event.eventName).length === 0) continue;
      const text = profileKeyText(organizationId, profileId);
      const work = works.get(text);
      if (work !== undefined) work.events.push({ position, event });
      else {
        const key = { organizationId, shard, profileId };
        works.set(text, { key, definitions: own, events: [{ position, event }] });
      }
    }
  }
  return works;
}

function foldProfile(work: ProfileWork, stored: StoredProfile | undefined, nowMs: number): TouchedProfile {
  const { definitions } = work;
  const state = stored?.state ?? emptyState();
  const touched = new TouchedSegments();
  settleFutures(state, definitions, nowMs, touched);
  for (const { position, event } of work.events) {
    if (position <= state.asOf) continue;
    touched.event = event;
    recordEvent(state, definitions, event, nowMs, touched);
  }
  const { changes, nextDueMs } = evaluateSegments(state, touched, nowMs);
  return {
    ...work.key,
    state,
    // Only ever lowered here: what was not touched may still be due first.
    nextDueMs: earlier(stored?.nextDueMs, nextDueMs),
    isStored: stored !== undefined,
    changes,
    causeOf: (change) => touched.causeOf(change, stored?.nextDueMs, nowMs),
  };
}
