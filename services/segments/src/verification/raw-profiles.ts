// Reads raw profiles and events from the events service, as the reference of a verification.

import {
  EventFeedService,
  type ScanProfileEventsRequest,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type Clock, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { type Caller, type Client, createClient } from "@muster/rpc";
import { decodeMessage } from "../events/decode-message.ts";
import { eventIdText } from "../events/event-id.ts";
import { NO_PROFILE } from "../profiles/profile-key.ts";

/** A profile with its raw events. */
export interface RawProfileEvent {
  /** The engine's id of the event. */
  readonly id: string;
  readonly eventName: string;
  readonly ms: number;
  /** A JSON object. */
  readonly properties: string;
}

export interface RawProfile {
  readonly createMs: number;
  /** A JSON object. */
  readonly traits: string;
  readonly events: RawProfileEvent[];
  /** Events received or dated from this instant on are complete; 0 means all events. */
  readonly completeSinceMs: number;
}

/** The result of a scan. */
export interface RawProfiles {
  /** The shard's position of the snapshot. */
  readonly position: number;
  readonly profiles: ReadonlyMap<ProfileId, RawProfile>;
}

/** The content of the messages after a position. */
export interface LaterMessages {
  /** By the engine's event id, the position of the event's message. */
  readonly events: ReadonlyMap<string, number>;
  /** By profile, the last position with a creation, a change or an identity change. */
  readonly profiles: ReadonlyMap<ProfileId, number>;
}

/** Deadline of a scan. */
const SCAN_TIMEOUT_MS = 120_000;
const PAGE_PROFILES = 1000;
const MESSAGES_AT_ONCE = 200;

/** Calls the events service with the tokens of this service. */
export class RawEventSource {
  readonly #client: Client<typeof EventFeedService>;
  readonly #clock: Clock;

  constructor(caller: Caller, clock: Clock) {
    this.#client = createClient(EventFeedService, caller);
    this.#clock = clock;
  }

  /** The ids of all profiles of a shard, in order, page by page. */
  async *listProfileIds(
    organizationId: OrganizationId,
    shard: number,
    signal: AbortSignal,
  ): AsyncGenerator<ProfileId[]> {
    for (let after: ProfileId = NO_PROFILE; ; ) {
      const ids: ProfileId[] = [];
      let more = false;
      const page = { afterProfileId: uuidToBytes(after), profileLimit: PAGE_PROFILES, withoutEvents: true };
      for await (const { part } of this.#scan({ organizationId, shard, page, signal })) {
        if (part.case === "snapshot") more = part.value.more;
        if (part.case === "profile") ids.push(bytesToUuid(part.value.profileId));
      }
      yield ids;
      const last = ids.at(-1);
      if (!more || last === undefined) return;
      after = last;
    }
  }

  /** Existing profiles among the given ids, with all their events. */
  async read(
    organizationId: OrganizationId,
    shard: number,
    profileIds: readonly ProfileId[],
    signal: AbortSignal,
  ): Promise<RawProfiles> {
    const profiles = new Map<ProfileId, RawProfile>();
    let position: number | undefined;
    let completeSinceMs = 0;
    const page = { profileIds: profileIds.map(uuidToBytes), profileLimit: profileIds.length };
    for await (const { part } of this.#scan({ organizationId, shard, page, signal })) {
      if (part.case === "snapshot") {
        position = Number(part.value.position);
        completeSinceMs = Number(part.value.completeSinceMs);
      }
      if (part.case !== "profile") continue;
      const { createTimeMs, traits, events } = part.value;
      const id = bytesToUuid<ProfileId>(part.value.profileId);
      const profile = profiles.get(id) ?? {
        createMs: Number(createTimeMs),
        traits,
        events: [],
        completeSinceMs,
      };
      profiles.set(id, profile);
      for (const event of events) {
        const { name: eventName, occurredMs, properties } = event;
        profile.events.push({ id: eventIdText(event.id), eventName, ms: Number(occurredMs), properties });
      }
    }
    if (position === undefined) {
      throw new AppError("UNAVAILABLE", { cause: new Error("a scan of events ended without a snapshot") });
    }
    return { position, profiles };
  }

  /** Reads the shard's messages with positions in (after, through]. */
  async later(shard: number, after: number, through: number, signal: AbortSignal): Promise<LaterMessages> {
    const events = new Map<string, number>();
    const profiles = new Map<ProfileId, number>();
    for (let position = after; position < through; ) {
      const request = { shard, afterPosition: BigInt(position), limit: MESSAGES_AT_ONCE };
      const { envelopes } = await this.#client.readOutbox(request, { signal });
      // The producer has trimmed the messages, so the contents are unknown.
      if (envelopes.length === 0) throw new AppError("UNAVAILABLE");
      for (const message of envelopes.map(decodeMessage)) {
        position = message.position;
        if (position > through) break;
        for (const { instant } of message.events) events.set(instant[1], position);
        for (const { profileId } of message.profiles) profiles.set(profileId, position);
        for (const { profileId } of message.identityChanges) profiles.set(profileId, position);
      }
    }
    return { events, profiles };
  }

  #scan(scan: {
    readonly organizationId: OrganizationId;
    readonly shard: number;
    readonly page: Partial<Omit<ScanProfileEventsRequest, "$typeName" | "$unknown">>;
    readonly signal: AbortSignal;
  }) {
    const { organizationId, shard, page, signal } = scan;
    return this.#client.scanProfileEvents(
      { organizationId: uuidToBytes(organizationId), shard, ...page },
      { deadlineMs: this.#clock.nowMs() + SCAN_TIMEOUT_MS, signal },
    );
  }
}
