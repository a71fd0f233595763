// Runs the events module behind the dispatcher on a real database, as a process does.
import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary } from "@bufbuild/protobuf";
import { type ApiKeyPrincipal, permissionsOf, ServiceTokens } from "@muster/authz";
import { EmbeddedBus } from "@muster/bus/embedded";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  type AnnouncedEvent,
  type AnnouncedProfile,
  ProfileChangedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { type Clock, type OrganizationId, randomIds, SHARD_COUNT } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { type Caller, type Client, createClient, createDispatcher, type Dispatcher } from "@muster/rpc";
import type { Module, Platform } from "@muster/runtime";
import { FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { eventsModule } from "../src/module.ts";

const KEY = new Uint8Array(32).fill(9);
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

export interface CallAs {
  /** The organization of the call's API key; undefined: no key. */
  readonly organizationId?: OrganizationId | undefined;
  readonly scopes?: readonly string[];
  readonly idempotencyKey?: string;
  /** The name of the calling service, for internal methods. */
  readonly service?: string;
  readonly signal?: AbortSignal;
}

export interface OpenOptions {
  readonly clock?: Clock;
  readonly backlogItemsMax?: number;
  readonly eventCatalog?: Platform["settings"]["eventCatalog"];
  /** Opens a second process on the data of this process. */
  readonly beside?: EventsUnderTest;
  /** Responses of the segments service; by default empty messages. */
  readonly segments?: Caller;
  /** Wraps the module's database. */
  readonly wrap?: (database: Database) => Database;
}

export class EventsUnderTest {
  readonly clock: Clock;
  readonly database: Database;
  readonly dispatcher: Dispatcher;
  readonly metrics: Metrics;
  readonly module: Module;
  readonly stored: TestDatabase;
  readonly #close: () => Promise<void>;

  private constructor(parts: {
    readonly clock: Clock;
    readonly database: Database;
    readonly dispatcher: Dispatcher;
    readonly metrics: Metrics;
    readonly module: Module;
    readonly stored: TestDatabase;
    readonly close: () => Promise<void>;
  }) {
    this.clock = parts.clock;
    this.database = parts.database;
    this.dispatcher = parts.dispatcher;
    this.metrics = parts.metrics;
    this.module = parts.module;
    this.stored = parts.stored;
    this.#close = parts.close;
  }

  static async open(engine: Engine, options: OpenOptions = {}): Promise<EventsUnderTest> {
    const clock = options.clock ?? new FakeClock();
    const { beside } = options;
    const stored = beside?.stored ?? (await openTestDatabase(engine, eventsModule.migrations));
    const opened = beside === undefined ? stored.database : await stored.openAnother();
    const database = options.wrap?.(opened) ?? opened;
    const log = createLogger({ level: "silent" });
    const bus = new EmbeddedBus({ clock, log });
    const metrics = new Metrics();
    const platform: Platform = {
      clock,
      ids: randomIds,
      log,
      metrics,
      bus,
      database,
      caller: () => options.segments ?? agreeing,
      apiKeys: { verify: async (key) => principalOf(key) },
      serviceTokens: new ServiceTokens({ service: "events", key: KEY, clock }),
      key: () => KEY,
      instanceId: randomIds.next(0),
      exclusive: beside === undefined,
      settings: {
        demoOrganizationId: undefined,
        backlogItemsMax: options.backlogItemsMax ?? 1_000_000,
        eventCatalog: options.eventCatalog ?? EVENT_CATALOG,
      },
    };
    const module = await eventsModule.build(platform);
    const ledger = new IdempotencyLedger({ database, clock, ids: randomIds, key: KEY });
    const dispatcher = createDispatcher({
      ...platform,
      implementations: module.services,
      serviceName: "events",
      ledger,
    });
    for (const worker of module.workers) await worker.start();
    const close = async (): Promise<void> => {
      for (const worker of [...module.workers].reverse()) await worker.stop();
      await bus.close();
      if (beside === undefined) await stored.close();
    };
    return new EventsUnderTest({ clock, database, dispatcher, metrics, module, stored, close });
  }

  close(): Promise<void> {
    return this.#close();
  }

  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs,
  ): Promise<MessageShape<M["output"]>> {
    return (await this.callWithHeaders(method, request, as)).message;
  }

  async callWithHeaders<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs,
  ): Promise<{ message: MessageShape<M["output"]>; headers: ReadonlyMap<string, string> }> {
    const signal = as.signal ?? new AbortController().signal;
    const options = { headers: this.headersOf(as), signal };
    const answer = await this.dispatcher.unary(method, create(method.input, request), options);
    return { message: answer.message as MessageShape<M["output"]>, headers: answer.headers };
  }

  client<S extends DescService>(service: S, as: CallAs): Client<S> {
    return createClient(service, this.dispatcher, { headers: this.headersOf(as), signal: as.signal });
  }

  headersOf(as: CallAs): Map<string, string> {
    const headers = new Map<string, string>();
    if (as.organizationId !== undefined) {
      const scopes = (as.scopes ?? ["*"]).join("+");
      headers.set("authorization", `Bearer ${as.organizationId}:${scopes}`);
    }
    if (as.idempotencyKey !== undefined) headers.set("idempotency-key", as.idempotencyKey);
    if (as.service !== undefined) {
      const tokens = new ServiceTokens({ service: as.service, key: KEY, clock: this.clock });
      headers.set("muster-service-token", tokens.mint());
    }
    return headers;
  }

  /** The feed as called by the segments service. */
  get feed(): Client<typeof EventFeedService> {
    return this.client(EventFeedService, { service: "segments" });
  }

  /** Returns the value of a counter, summed over its labels. */
  async count(name: string): Promise<number> {
    const series = await this.metrics.registry.getSingleMetric(name)?.get();
    return (series?.values ?? []).reduce((sum, { value }) => sum + value, 0);
  }

  /** Returns the whole outbox; rejects if a shard's positions have a gap. */
  async announced(): Promise<Announced> {
    const events: AnnouncedEvent[] = [];
    const profiles: AnnouncedProfile[] = [];
    const envelopes: Envelope[] = [];
    const { positions } = await this.feed.getPositions({});
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
      let after = 0n;
      for (let items = 0n; ; ) {
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

export interface Announced {
  readonly events: AnnouncedEvent[];
  readonly profiles: AnnouncedProfile[];
  readonly envelopes: Envelope[];
}

export function newOrganization(): OrganizationId {
  return randomIds.next<OrganizationId>(0);
}

function principalOf(key: string): ApiKeyPrincipal | undefined {
  const [organizationId, scopes] = key.split(":");
  if (organizationId === undefined || scopes === undefined) return undefined;
  return {
    kind: "api_key",
    id: organizationId,
    organizationId: organizationId as OrganizationId,
    permissions: permissionsOf(scopes.split("+")),
  };
}
