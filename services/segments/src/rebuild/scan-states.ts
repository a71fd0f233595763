// Scans profiles from a snapshot of their raw events and computes the states.
import type { ProfileId } from "@muster/core";
import { recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { eventIdText } from "../events/event-id.ts";
import type { EventsFeed, ScanRequest } from "../events/events-feed.ts";

/** Event names in the filter of a scan; with more, all events are read. */
const EVENT_NAMES_MAX = 10_000;

/** The result of a scan. */
export interface ScannedStates {
  /** The shard's position of the snapshot. */
  readonly position: number;
  /** Whether more profiles follow. */
  readonly more: boolean;
  /** Events received or dated from this instant on are complete; 0 means all events. */
  readonly completeSinceMs: number;
  /** False if no rule reads events or profiles: then there was no scan, and `states` is empty. */
  readonly isScanned: boolean;
  /** By profile, in order of id; without memberships. */
  readonly states: ReadonlyMap<ProfileId, ProfileState>;
}

/** Applies each profile's events to the definitions' facts. Events later than `nowMs` wait in the state. */
export async function scanStates(
  feed: EventsFeed,
  request: Omit<ScanRequest, "eventNames">,
  definitions: Definitions,
  nowMs: number,
): Promise<ScannedStates> {
  const states = new Map<ProfileId, ProfileState>();
  const filter = scanFilter(definitions);
  // No rule reads events or profiles.
  if (filter === undefined) {
    return { position: Number.MAX_SAFE_INTEGER, more: false, completeSinceMs: 0, isScanned: false, states };
  }
  const scan = await feed.scan({ ...request, ...filter }, (profileId, events, profile) => {
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
  return { ...scan, isScanned: true, states };
}

/** Undefined if no rule reads events or profiles. */
function scanFilter(definitions: Definitions): Pick<ScanRequest, "eventNames" | "withoutEvents"> | undefined {
  const eventNames = definitions.eventNames();
  if (eventNames === "every" || eventNames.length > EVENT_NAMES_MAX) return { eventNames: [] };
  if (eventNames.length > 0) return { eventNames };
  return definitions.readsProfiles ? { eventNames, withoutEvents: true } : undefined;
}
