// World starts the three modules in one process on one engine, with a fake clock and scripted ids.
import { CachingCredentialVerifier, type CredentialVerifier, remoteCredentials } from "@muster/authz";
import { EmbeddedBus } from "@muster/bus/embedded";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import type { Database, Engine } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import { type Caller, createClient } from "@muster/rpc";
import { deriveKey, type ModuleDefinition, type ServiceName } from "@muster/runtime";
import { eventsModuleWith } from "@muster/service-events";
import {
  createOrganizationDirect,
  createPartnerDirect,
  identityModule,
  ownCredentials,
} from "@muster/service-identity";
import { segmentsModule } from "@muster/service-segments";
import { FakeClock, waitFor } from "@muster/testkit";
import {
  credentialTexts,
  isUserText,
  type ModuleUnderTest,
  startModule,
  testLogger,
} from "@muster/testkit/module";
import { Activity, busyDatabase } from "./busy-database.ts";
import { numbersOf, ScriptedIds } from "./scripted-ids.ts";

const SECRET = new Uint8Array(32).fill(5);
const EVENT_TYPES = Object.entries({ LOGIN: 1, PURCHASE: 10, REFERRAL: 20 }).map(([name, points]) => ({
  name,
  description: `A ${name.toLowerCase()}`,
  priceMillionths: points * 1_000_000,
}));
/** Turns of the event loop without a statement after which nothing is under way. */
const IDLE_TURNS = 4;

export class World {
  readonly clock = new FakeClock();
  readonly #activity = new Activity();
  readonly #bus = new EmbeddedBus({ clock: this.clock, log: testLogger() });
  readonly #ids = new Map<string, ScriptedIds>();
  readonly #modules = new Map<ServiceName, ModuleUnderTest>();
  readonly #databases = new Map<ServiceName, Database>();

  static async open(engine: Engine): Promise<World> {
    const world = new World();
    world.#idsOf("organizations");
    for (const definition of [identityModule, eventsModuleWith(EVENT_TYPES), segmentsModule]) {
      await world.#start(engine, definition);
    }
    await world.rest();
    return world;
  }

  async close(): Promise<void> {
    for (const module of [...this.#modules.values()].reverse()) await module.close();
    await this.#bus.close();
  }

  /** For each module a second pool on the data of the module. */
  get databases(): ReadonlyMap<ServiceName, Database> {
    return this.#databases;
  }

  moduleOf(service: ServiceName): ModuleUnderTest {
    const module = this.#modules.get(service);
    if (module === undefined) throw new Error(`no module ${service}`);
    return module;
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

  /** Creates an organization with an API key that has every permission, and an owner. */
  createOrganization(name: string, ownerEmail: string) {
    const ids = this.#idsOf("organizations");
    const database = this.#databaseOf("identity");
    return createOrganizationDirect(database, { clock: this.clock, ids, name, ownerEmail });
  }

  /** Creates a partner, who may provision organizations. */
  createPartner(name: string) {
    const ids = this.#idsOf("organizations");
    const ownKey = (use: string) => deriveKey(SECRET, `identity/${use}`);
    return createPartnerDirect(
      { database: this.#databaseOf("identity"), clock: this.clock, ids, ownKey },
      name,
    );
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

  /** Resolves once every module is idle and everything published is counted. */
  async rest(): Promise<void> {
    const what = "the modules to come to rest";
    await waitFor(
      async () => {
        await this.#idle();
        const { started } = this.#activity;
        return (await this.#isCaughtUp()) && started === this.#activity.started;
      },
      { timeoutMs: 60_000, what },
    );
  }

  async #idle(): Promise<void> {
    for (let turns = 0; turns < IDLE_TURNS; ) {
      await new Promise((resolve) => setImmediate(resolve));
      turns = this.#activity.running === 0 ? turns + 1 : 0;
    }
  }

  async #isCaughtUp(): Promise<boolean> {
    // Segments counts the events of the events service, and identity its own logins.
    const events = await this.#positions("events", "shard_positions");
    const logins = await this.#positions("identity", "shard_positions");
    const appliedEvents = await this.#positions("segments", "shard_cursors");
    const appliedLogins = await this.#positions("identity", "shard_cursors");
    return events.join() === appliedEvents.join() && logins.join() === appliedLogins.join();
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
    const service = definition.name;
    const module = await startModule(definition, engine, {
      clock: this.clock,
      bus: this.#bus,
      instanceId: service,
      ids: this.#idsOf(service),
      requestIds: this.#idsOf(`${service}-requests`),
      wrap: (pool) => busyDatabase(pool, this.#activity),
      callers: {
        identity: this.#callerOf("identity"),
        events: this.#callerOf("events"),
        segments: this.#callerOf("segments"),
      },
      key: (use) => deriveKey(SECRET, `${service}/${use}`),
      credentials: ({ clock, bus, database, caller, log }) => {
        const remote = createClient(CredentialService, caller("identity"));
        const isIdentity = service === "identity";
        const lookups = isIdentity ? ownCredentials(database, clock) : remoteCredentials(remote, clock);
        return withUserTexts(new CachingCredentialVerifier({ lookups, clock, broadcasts: bus, log }));
      },
      ledger: (platform) =>
        new IdempotencyLedger({
          ...platform,
          ids: this.#idsOf(`${service}-ledger`),
          key: platform.key("idempotency"),
        }),
    });
    this.#modules.set(service, module);
    this.#databases.set(service, await module.stored.openAnother());
  }

  /** Reaches a module that may start later. */
  #callerOf(service: ServiceName): Caller {
    return {
      unary: (...call) => this.moduleOf(service).dispatcher.unary(...call),
      stream: (...call) => this.moduleOf(service).dispatcher.stream(...call),
    };
  }
}

/** Also accepts the texts of `userText`: a signed-in user without a session in the database. */
function withUserTexts(verifier: CredentialVerifier): CredentialVerifier {
  return {
    verify: (text, options) => (isUserText(text) ? credentialTexts : verifier).verify(text, options),
    onChange: (listener) => verifier.onChange(listener),
  };
}
