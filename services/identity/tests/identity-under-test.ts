// Runs identity's module behind the dispatcher, on a real database.
import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { CachingApiKeyVerifier, ServiceTokens } from "@muster/authz";
import { EmbeddedBus } from "@muster/bus/embedded";
import { randomIds } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { createDispatcher, type Dispatcher } from "@muster/rpc";
import type { Platform } from "@muster/runtime";
import { createOrganizationDirect, identityModule, ownApiKeyLookup } from "@muster/service-identity";
import { FakeClock, openTestDatabase } from "@muster/testkit";

const KEY = new Uint8Array(32).fill(9);

export interface CallAs {
  /** An API key. */
  readonly key?: string | undefined;
  readonly idempotencyKey?: string;
  /** Name of a calling service of the installation. */
  readonly service?: string;
}

/** A process that crashes right after the effect has committed. */
class CrashingLedger extends IdempotencyLedger {
  override async keep(): Promise<void> {
    throw new Error("the process died before");
  }
  override async release(): Promise<void> {
    throw new Error("the process died before");
  }
}

export class IdentityUnderTest {
  readonly clock: FakeClock;
  readonly database: Database;
  readonly close: () => Promise<void>;
  readonly dispatcher: Dispatcher;

  private constructor(parts: {
    readonly clock: FakeClock;
    readonly database: Database;
    readonly dispatcher: Dispatcher;
    readonly close: () => Promise<void>;
  }) {
    this.clock = parts.clock;
    this.database = parts.database;
    this.close = parts.close;
    this.dispatcher = parts.dispatcher;
  }

  /**
   * With `crashing`, no code runs after a handler's transaction: a response that the transaction did not save
   * is lost.
   */
  static async open(engine: Engine, { crashing = false } = {}): Promise<IdentityUnderTest> {
    const clock = new FakeClock();
    const opened = await openTestDatabase(engine, identityModule.migrations);
    const { database } = opened;
    const log = createLogger({ level: "silent" });
    const bus = new EmbeddedBus({ clock, log });
    const platform: Platform = {
      clock,
      ids: randomIds,
      log,
      metrics: new Metrics(),
      bus,
      database,
      caller: (service) => {
        throw new Error(`identity calls nobody, and so not ${service}`);
      },
      apiKeys: new CachingApiKeyVerifier({
        lookup: ownApiKeyLookup(database, clock),
        clock,
        broadcasts: bus,
      }),
      serviceTokens: new ServiceTokens({ service: "identity", key: KEY, clock }),
      key: () => KEY,
      instanceId: "test",
      exclusive: true,
      settings: { demoOrganizationId: undefined, backlogItemsMax: 1, eventCatalog: [] },
    };
    const { services } = await identityModule.build(platform);
    const Ledger = crashing ? CrashingLedger : IdempotencyLedger;
    const ledger = new Ledger({ database, clock, ids: randomIds, key: KEY });
    const dispatcher = createDispatcher({
      ...platform,
      implementations: services,
      serviceName: "identity",
      ledger,
    });
    const close = async (): Promise<void> => {
      await bus.close();
      await opened.close();
    };
    return new IdentityUnderTest({ clock, database, dispatcher, close });
  }

  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs = {},
  ): Promise<MessageShape<M["output"]>> {
    const headers = new Map<string, string>();
    if (as.key !== undefined) headers.set("authorization", `Bearer ${as.key}`);
    if (as.idempotencyKey !== undefined) headers.set("idempotency-key", as.idempotencyKey);
    if (as.service !== undefined) headers.set("muster-service-token", this.tokensOf(as.service).mint());
    const { signal } = new AbortController();
    const response = await this.dispatcher.unary(method, create(method.input, request), { headers, signal });
    return response.message as MessageShape<M["output"]>;
  }

  tokensOf(service: string, key = KEY): ServiceTokens {
    return new ServiceTokens({ service, key, clock: this.clock });
  }

  /** The id of a new organization and its first key, which holds every permission. */
  organization(name = "Acme"): Promise<{ readonly organizationId: string; readonly secret: string }> {
    return createOrganizationDirect(this.database, { clock: this.clock, ids: randomIds, name });
  }

  /** Number of rows per table, to verify that a refused call wrote none. */
  async rowCounts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const table of ["organizations", "api_keys"]) {
      const rows = await this.database.reader(table).select("id");
      counts[table] = rows.length;
    }
    return counts;
  }
}
