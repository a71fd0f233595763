// Brings scanned states from the position of their snapshot up to the applied position of the shard, with the messages
// that were applied meanwhile.
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { PoisonMessage } from "@muster/outbox";
import { applyDueEvents, recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { needsRebuild, type ProfileState } from "../engine/state/profile-state.ts";
import { type DecodedMessage, decodeMessage } from "../events/decode-message.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import type { RebuildTask } from "../rebuild/rebuild-planner.ts";
import type { ScannedShard } from "../rebuild/replace-states.ts";

const MESSAGES_AT_ONCE = 200;

export interface PositionRange {
  readonly after: number;
  readonly through: number;
}

/**
 * Returns the messages of the range that concern the scanned profiles; undefined if the states must be scanned
 * again, because a message is gone or unreadable, or changes the identity of a profile.
 */
export async function readMissedMessages(
  feed: Pick<EventsFeed, "read">,
  scanned: ScannedShard,
  { after, through }: PositionRange,
): Promise<DecodedMessage[] | undefined> {
  const { task } = scanned;
  const found: DecodedMessage[] = [];
  for (let position = after; position < through; ) {
    const messages = await readMessages(
      feed,
      task.shard,
      position,
      Math.min(MESSAGES_AT_ONCE, through - position),
    );
    if (messages === undefined) return undefined;
    for (const message of messages) {
      // The outbox no longer has all messages.
      if (message.position !== position + 1) return undefined;
      position = message.position;
      const own = ownPart(message, scanned);
      if (own.identityChanges.length > 0) return undefined;
      if (own.events.length > 0 || own.profiles.length > 0) found.push(own);
    }
  }
  return found;
}

/** Returns false if an event came too late for its order, so that the states must be scanned again. */
export function applyMissedMessages(
  states: ReadonlyMap<ProfileId, ProfileState>,
  definitions: Definitions,
  messages: readonly DecodedMessage[],
  nowMs: number,
): boolean {
  for (const { profiles, events } of messages) {
    for (const profile of profiles) {
      const state = states.get(profile.profileId);
      if (state !== undefined) recordProfile(state, definitions, profile, new Set());
    }
    for (const event of events) {
      const state = states.get(event.profileId);
      if (state === undefined) continue;
      applyDueEvents(state, definitions, nowMs, new Set());
      recordEvent(state, definitions, event, nowMs, new Set());
      if (needsRebuild(state, nowMs)) return false;
    }
  }
  return true;
}

async function readMessages(
  feed: Pick<EventsFeed, "read">,
  shard: number,
  after: number,
  limit: number,
): Promise<DecodedMessage[] | undefined> {
  try {
    const messages = (await feed.read(shard, after, limit)).map(decodeMessage);
    if (messages.length === 0) throw new AppError("UNAVAILABLE");
    return messages;
  } catch (error) {
    // A dead letter.
    if (error instanceof PoisonMessage) return undefined;
    throw error;
  }
}

/** The part of a message for profiles that the task has scanned or requested. */
function ownPart(message: DecodedMessage, { task, states }: ScannedShard): DecodedMessage {
  const isOwn = (of: { readonly organizationId: string; readonly profileId: ProfileId }): boolean =>
    of.organizationId === task.organizationId &&
    (states.has(of.profileId) || isRequested(task, of.profileId));
  return {
    ...message,
    events: message.events.filter(isOwn),
    profiles: message.profiles.filter(isOwn),
    identityChanges: message.identityChanges.filter(isOwn),
  };
}

function isRequested({ profiles }: RebuildTask, profileId: ProfileId): boolean {
  return "ids" in profiles && profiles.ids.includes(profileId);
}
