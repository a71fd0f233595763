// World starts the three modules in one process on one engine, with a fake clock and scripted ids.
import { CachingApiKeyVerifier, remoteApiKeyLookup, ServiceTokens } from "@muster/authz";
import { EmbeddedBus } from "@muster/bus/embedded";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import type { Database, Engine } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { createClient, createDispatcher, type Dispatcher, withServiceToken } from "@muster/rpc";
import { deriveKey, type ModuleDefinition, type Platform, type ServiceName } from "@muster/runtime";
import { eventsModule } from "@muster/service-events";
import { createOrganizationDirect, identityModule, ownApiKeyLookup } from "@muster/service-identity";
import { segmentsModule } from "@muster/service-segments";
import { FakeClock, openTestDatabase, waitFor } from "@muster/testkit";
import { Activity, busyDatabase } from "./busy-database.ts";
import { numbersOf, ScriptedIds } from "./scripted-ids.ts";

const SECRET = new Uint8Array(32).fill(5);
const EVENT_TYPES = Object.entries({ LOGIN: 1, PURCHASE: 10, REFERRAL: 20 }).map(([name, points]) => ({
  ...{ name, description: `A ${name.toLowerCase()}`, priceMillionths: points * 1_000_000 },
}));
/** Turns of the event loop without a statement after which nothing is under way. */
const IDLE_TURNS = 4;
export class World {
  readonly clock = new FakeClock();
  readonly #activity = new Activity();
  readonly #log = createLogger({ level: process.env.MUSTER_TEST_LOG ?? "silent" });
  readonly #bus = new EmbeddedBus({ clock: this.clock, log: this.#log });
  readonly #ids = new Map<string, ScriptedIds>();
  readonly #dispatchers = new Map<ServiceName, Dispatcher>();
  readonly #databases = new Map<ServiceName, Database>();
  readonly #closing: (() => Promise<unknown>)[] = [];

  static async open(engine: Engine): Promise<World> {
    const world = new World();
    world.#idsOf("organizations");
    for (const definition of [identityModule, eventsModule, segmentsModule]) {
      await world.#start(engine, definition);
    }
    await world.rest();
    return world;
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
    await this.#bus.close();
  }

  /** For each module a second pool on the data of the module. */
  get databases(): ReadonlyMap<ServiceName, Database> {
    return this.#databases;
  }

  dispatcherOf(service: ServiceName): Dispatcher {
    const dispatcher = this.#dispatchers.get(service);
    if (dispatcher === undefined) throw new Error(`no module ${service}`);
    return dispatcher;
  }

  tokensOf(service: string): ServiceTokens {
    return new ServiceTokens({ service, key: deriveKey(SECRET, "service-tokens"), clock: this.clock });
  }

  /** New ids carry the number of this call from now on. */
  beginCall(call: number): void {
    for (const ids of this.#ids.values()) ids.beginCall(call);
  }

  /** Such as "<events 3.1>", the first id of events in call 3; undefined for ids from outside `calls`. */
  nameOfId(hex: string, calls: { readonly first: number; readonly last: number }): string | undefined {
    const { source, call, count } = numbersOf(hex);
    const use = [...this.#ids.keys()][source - 1];
    if (use === undefined || call < calls.first || call > calls.last) return undefined;
    return `<${use} ${call - calls.first}.${count}>`;
  }

  /** Creates an organization with an API key that has every permission. */
  createOrganization(name: string) {
    const ids = this.#idsOf("organizations");
    return createOrganizationDirect(this.#databaseOf("identity"), { clock: this.clock, ids, name });
  }

  /** Moves the clock on, sleeper by sleeper: the work of each is over before the next sleeper wakes. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    for (;;) {
      await this.#idle();
      const leftMs = endMs - this.clock.monotonicMs();
      const nextMs = this.clock.nextWakeMs - this.clock.monotonicMs();
      await this.clock.advance(Math.max(0, Math.min(nextMs, leftMs)));
      if (nextMs > leftMs) break;
    }
    await this.rest();
  }

  /** Resolves once every module is idle and segments has counted all events. */
  async rest(): Promise<void> {
    const what = "the modules to come to rest";
    await waitFor(
      async () => {
        await this.#idle();
        const { started } = this.#activity;
        return (await this.#isCaughtUp()) && started === this.#activity.started;
      },
      { timeoutMs: 10_000, what },
    );
  }

  async #idle(): Promise<void> {
    for (let turns = 0; turns < IDLE_TURNS; ) {
      await new Promise((resolve) => setImmediate(resolve));
      turns = this.#activity.running === 0 ? turns + 1 : 0;
    }
  }

  async #isCaughtUp(): Promise<boolean> {
    const ends = await this.#positions("events", "shard_positions");
    const cursors = await this.#positions("segments", "shard_cursors");
    return ends.join() === cursors.join();
  }

  async #positions(service: ServiceName, table: string): Promise<number[]> {
    const rows: { position: number }[] = await this.#databaseOf(service)
      .reader(table)
      .select("position")
      .orderBy("shard");
    return rows.map(({ position }) => Number(position));
  }

  #databaseOf(service: ServiceName): Database {
    const database = this.#databases.get(service);
    if (database === undefined) throw new Error(`no module ${service}`);
    return database;
  }

  #idsOf(use: string): ScriptedIds {
    const ids = this.#ids.get(use) ?? new ScriptedIds(this.#ids.size + 1);
    this.#ids.set(use, ids);
    return ids;
  }

  async #start(engine: Engine, definition: ModuleDefinition): Promise<void> {
    const stored = await openTestDatabase(engine, definition.migrations);
    this.#closing.push(() => stored.close());
    this.#databases.set(definition.name, stored.database);
    const platform = this.#platformOf(definition.name, await stored.openAnother());
    const module = await definition.build(platform);
    const dispatcher = createDispatcher({
      ...platform,
      implementations: module.services,
      serviceName: definition.name,
      // Request ids are drawn apart, so that the number of requests moves no other id.
      ids: this.#idsOf(`${definition.name}-requests`),
      ledger: new IdempotencyLedger({
        ...platform,
        ...{ ids: this.#idsOf(`${definition.name}-ledger`), key: platform.key("idempotency") },
      }),
    });
    this.#dispatchers.set(definition.name, dispatcher);
    for (const worker of module.workers) {
      await worker.start();
      this.#closing.push(() => worker.stop());
    }
  }

  #platformOf(service: ServiceName, pool: Database): Platform {
    const { clock } = this;
    const database = busyDatabase(pool, this.#activity);
    const serviceTokens = this.tokensOf(service);
    const caller: Platform["caller"] = (name) =>
      withServiceToken(
        {
          unary: (...call) => this.dispatcherOf(name).unary(...call),
          stream: (...call) => this.dispatcherOf(name).stream(...call),
        },
        serviceTokens,
      );
    const lookup =
      service === "identity"
        ? ownApiKeyLookup(database, clock)
        : remoteApiKeyLookup(createClient(CredentialService, caller("identity")), clock);
    return {
      ...{ clock, database, caller, serviceTokens, bus: this.#bus, log: this.#log },
      ...{ ids: this.#idsOf(service), metrics: new Metrics(), instanceId: service, exclusive: true },
      apiKeys: new CachingApiKeyVerifier({ lookup, clock, broadcasts: this.#bus }),
      key: (use) => deriveKey(SECRET, `${service}/${use}`),
      settings: { demoOrganizationId: undefined, backlogItemsMax: 1_000_000, eventCatalog: EVENT_TYPES },
    };
  }
}
