// Profiles' states read from one snapshot of their raw events.
import type { ProfileId } from "@muster/core";
import { eventIdText } from "../consumers/decode-message.ts";
import type { Definitions } from "../engine/definitions.ts";
import { emptyState, type ProfileState, recordEvent, recordProfile } from "../engine/profile-state.ts";
import type { EventsFeed, ScanRequest } from "../events-feed.ts";

/** Names that one scan may be limited to. */
const EVENT_NAMES_MAX = 10_000;

export interface ScannedStates {
  /** The shard's position that the snapshot is of. */
  readonly position: number;
  readonly more: boolean;
  /** All that came or happened from then on is in it; 0: all there ever was. */
  readonly completeSinceMs: number;
  /** False where no rule reads anything: then there is no snapshot, and nobody in it. */
  readonly isRead: boolean;
  /** By profile, in order of id; without memberships. */
  readonly states: ReadonlyMap<ProfileId, ProfileState>;
}

/** What the definitions' matchers make of each profile's events; those after `nowMs` wait in the state. */
export async function scanStates(
  feed: EventsFeed,
  request: Omit<ScanRequest, "eventNames">,
  definitions: Definitions,
  nowMs: number,
): Promise<ScannedStates> {
  const states = new Map<ProfileId, ProfileState>();
  const what = whatToRead(definitions);
  // Nothing counts for anything: there is nothing to read.
  if (what === undefined) {
    return { position: Number.MAX_SAFE_INTEGER, more: false, completeSinceMs: 0, isRead: false, states };
  }
  const scan = await feed.scan({ ...request, ...what }, (profileId, events, profile) => {
    let state = states.get(profileId);
    if (state === undefined) {
      state = emptyState();
      states.set(profileId, state);
      const { createTimeMs, traits } = profile;
      recordProfile(state, definitions, { createMs: Number(createTimeMs), traits }, new Set());
    }
    for (const { id, name, occurredMs, properties } of events) {
      const instant = [Number(occurredMs), eventIdText(id)] as const;
      recordEvent(state, definitions, { eventName: name, instant, properties }, nowMs, new Set());
    }
  });
  for (const state of states.values()) state.asOf = scan.position;
  return { ...scan, isRead: true, states };
}

/** Undefined when no event counts and no profile as such. */
function whatToRead(definitions: Definitions): Pick<ScanRequest, "eventNames" | "withoutEvents"> | undefined {
  const eventNames = definitions.eventNames();
  if (eventNames === "every" || eventNames.length > EVENT_NAMES_MAX) return { eventNames: [] };
  if (eventNames.length > 0) return { eventNames };
  return definitions.readsProfiles ? { eventNames, withoutEvents: true } : undefined;
}
