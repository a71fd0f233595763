// Runs the events module behind a dispatcher and reads the published messages.
import { create, fromBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  type AnnouncedEvent,
  type AnnouncedProfile,
  ProfileChangedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { ALL_SHARDS, type OrganizationId, randomIds } from "@muster/core";
import type { Engine } from "@muster/db";
import type { Caller, Client } from "@muster/rpc";
import { type ModuleOptions, ModuleUnderTest, startParts } from "@muster/testkit/module";
import { type EventType, eventsModuleWith } from "../src/module.ts";

const EVENT_CATALOG = Object.entries({ LOGIN: 1, PURCHASE: 10, REFERRAL: 20 }).map(([name, points]) => ({
  name,
  description: "",
  priceMillionths: points * 1_000_000,
}));

const agreeing: Caller = {
  unary: async (method) => ({ message: create(method.output), headers: new Map() }),
  stream: () => {
    throw new Error("events opens no stream");
  },
};

export interface OpenOptions extends Pick<ModuleOptions, "clock" | "wrap"> {
  readonly backlogItemsMax?: number;
  readonly eventCatalog?: readonly EventType[];
  /** A running process; the new process shares the data of that process. */
  readonly beside?: EventsUnderTest;
  /** The segments service; the default accepts every call and returns empty messages. */
  readonly segments?: Caller;
}

export class EventsUnderTest extends ModuleUnderTest {
  static async open(engine: Engine, options: OpenOptions = {}): Promise<EventsUnderTest> {
    const {
      backlogItemsMax = 1_000_000,
      eventCatalog = EVENT_CATALOG,
      segments = agreeing,
      ...rest
    } = options;
    const parts = await startParts(eventsModuleWith(eventCatalog), engine, {
      ...rest,
      callers: { segments },
      settings: { backlogItemsMax },
    });
    return new EventsUnderTest(parts);
  }

  /** The feed as called by the segments service. */
  get feed(): Client<typeof EventFeedService> {
    return this.client(EventFeedService, { service: "segments" });
  }

  /** The ends of the outbox, so that a later {@link announced} reads only what follows. */
  async announcedEnds(): Promise<OutboxEnd[]> {
    const { positions } = await this.feed.getPositions({});
    const ends: OutboxEnd[] = [];
    for (const shard of ALL_SHARDS) {
      const position = positions[shard] ?? 0n;
      if (position === 0n) ends.push(OUTBOX_START);
      else {
        const { envelopes } = await this.feed.readOutbox({ shard, afterPosition: position - 1n, limit: 1 });
        ends.push({ position, items: envelopes[0]?.itemsThrough ?? 0n });
      }
    }
    return ends;
  }

  /** Returns the outbox, by default from its start; rejects if a shard's positions have a gap. */
  async announced(ends: readonly OutboxEnd[] = []): Promise<Announced> {
    const events: AnnouncedEvent[] = [];
    const profiles: AnnouncedProfile[] = [];
    const envelopes: Envelope[] = [];
    const { positions } = await this.feed.getPositions({});
    for (const shard of ALL_SHARDS) {
      let { position: after, items } = ends[shard] ?? OUTBOX_START;
      for (;;) {
        const read = await this.feed.readOutbox({ shard, afterPosition: after, limit: 1000 });
        if (read.envelopes.length === 0) break;
        for (const envelope of read.envelopes) {
          if (envelope.position !== after + 1n) throw new Error(`a gap in shard ${shard} after ${after}`);
          after = envelope.position;
          envelopes.push(envelope);
          if (envelope.type === "muster.events.profile.changed.v1") {
            const { profile } = fromBinary(ProfileChangedSchema, envelope.data);
            if (profile !== undefined) profiles.push(profile);
            continue;
          }
          if (envelope.type !== "muster.events.tracked_event.recorded.v1") continue;
          const message = fromBinary(TrackedEventsRecordedSchema, envelope.data);
          events.push(...message.events);
          profiles.push(...message.newProfiles);
          items += BigInt(message.events.length);
          if (envelope.itemsThrough !== items) throw new Error(`shard ${shard} miscounts its items`);
        }
      }
      if (after !== positions[shard])
        throw new Error(`shard ${shard} ends at ${after}, not ${positions[shard]}`);
    }
    return { events, profiles, envelopes };
  }
}

/** The last position of a shard, and the number of items through it. */
export interface OutboxEnd {
  readonly position: bigint;
  readonly items: bigint;
}

const OUTBOX_START: OutboxEnd = { position: 0n, items: 0n };

export interface Announced {
  readonly events: AnnouncedEvent[];
  readonly profiles: AnnouncedProfile[];
  readonly envelopes: Envelope[];
}

export function newOrganization(): OrganizationId {
  return randomIds.next<OrganizationId>(0);
}
