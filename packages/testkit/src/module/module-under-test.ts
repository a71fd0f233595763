// ModuleUnderTest runs a module behind the dispatcher on a test database, and calls methods of the module.
import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type CredentialVerifier, ServiceTokens } from "@muster/authz";
import type { Bus } from "@muster/bus";
import { EmbeddedBus } from "@muster/bus/embedded";
import { type Clock, type IdSource, randomIds } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { IdempotencyLedger, type IdempotencyLedgerPort } from "@muster/idempotency";
import { createLogger, type Logger } from "@muster/log";
import type { MailTransport } from "@muster/mail";
import { Metrics } from "@muster/metrics";
import {
  type Caller,
  type Client,
  createClient,
  createDispatcher,
  type Dispatcher,
  withServiceToken,
} from "@muster/rpc";
import {
  type Module,
  type ModuleDefinition,
  type Platform,
  type ServiceName,
  ThreadPool,
} from "@muster/runtime";
import { withClock } from "../clocked-database.ts";
import { FakeClock } from "../fake-clock.ts";
import { openTestDatabase, type TestDatabase } from "../test-database.ts";
import { apiKeyText, type CallAs, credentialTexts, userText } from "./call-as.ts";
import { SentMails } from "./sent-mails.ts";

/** Derives every key of an installation in tests. */
const TEST_KEY = new Uint8Array(32).fill(9);

export interface ModuleOptions {
  /** The module under test, or the database, whose data this module shares, as a second process does. */
  readonly beside?: Pick<ModuleUnderTest, "stored"> | undefined;
  /** A pool on the data of `beside`, in place of a new pool. */
  readonly pool?: Database | undefined;
  /** Wraps the database of the module. */
  readonly wrap?: ((database: Database) => Database) | undefined;
  /** Reach the other services; calls of services without a caller are rejected. */
  readonly callers?: Partial<Record<ServiceName, Caller>> | undefined;
  readonly clock?: Clock | undefined;
  /** The clock of the database, which replicas share; by default `clock`. */
  readonly databaseClock?: Clock | undefined;
  readonly ids?: IdSource | undefined;
  /** By default an embedded bus, which is closed with the module. */
  readonly bus?: Bus | undefined;
  readonly settings?: Partial<Platform["settings"]> | undefined;
  /** By default true without `beside`. */
  readonly exclusive?: boolean | undefined;
  /** By default mails are recorded in `mails`. */
  readonly mail?: MailTransport | undefined;
  /** Owner in leases. */
  readonly instanceId?: string | undefined;
  /** Verifies API keys and access tokens; by default those that {@link CallAs} describes. */
  readonly credentials?: ((platform: Omit<Platform, "credentials">) => CredentialVerifier) | undefined;
  readonly ledger?: ((platform: Platform) => IdempotencyLedgerPort) | undefined;
  readonly key?: Platform["key"] | undefined;
  /** Makes request ids, by default `ids`. */
  readonly requestIds?: IdSource | undefined;
}

/** The parts of a running module. */
export interface ModuleParts {
  readonly platform: Platform;
  readonly module: Module;
  readonly metrics: Metrics;
  readonly dispatcher: Dispatcher;
  readonly stored: TestDatabase;
  /** The pool of the module, not wrapped. */
  readonly pool: Database;
  readonly mails: SentMails;
  readonly ownsBus: boolean;
  readonly ownsData: boolean;
}

export class ModuleUnderTest {
  readonly clock: Clock;
  readonly database: Database;
  readonly dispatcher: Dispatcher;
  readonly metrics: Metrics;
  readonly module: Module;
  readonly stored: TestDatabase;
  /** The mails that the module has sent. */
  readonly mails: SentMails;
  readonly threads: ThreadPool;
  readonly #parts: ModuleParts;
  #isStopped = false;

  constructor(parts: ModuleParts) {
    this.#parts = parts;
    this.clock = parts.platform.clock;
    this.database = parts.platform.database;
    this.dispatcher = parts.dispatcher;
    this.metrics = parts.metrics;
    this.module = parts.module;
    this.stored = parts.stored;
    this.mails = parts.mails;
    this.threads = parts.platform.threads;
  }

  async call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs = {},
  ): Promise<MessageShape<M["output"]>> {
    return (await this.callWithHeaders(method, request, as)).message;
  }

  async callWithHeaders<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs = {},
  ): Promise<{ message: MessageShape<M["output"]>; headers: ReadonlyMap<string, string> }> {
    const signal = as.signal ?? new AbortController().signal;
    const options = { headers: this.headersOf(as), signal };
    const response = await this.dispatcher.unary(method, create(method.input, request), options);
    return { message: response.message as MessageShape<M["output"]>, headers: response.headers };
  }

  client<S extends DescService>(service: S, as: CallAs): Client<S> {
    return createClient(service, this.dispatcher, { headers: this.headersOf(as), signal: as.signal });
  }

  headersOf({
    key,
    organizationId,
    scopes,
    idempotencyKey,
    service,
    user,
    headers = {},
  }: CallAs): Map<string, string> {
    const all = new Map(Object.entries(headers));
    const text = user === undefined ? organizationId && apiKeyText(organizationId, scopes) : userText(user);
    const credential = key ?? text;
    if (credential !== undefined) all.set("authorization", `Bearer ${credential}`);
    if (idempotencyKey !== undefined) all.set("idempotency-key", idempotencyKey);
    if (service !== undefined) all.set("muster-service-token", this.tokensOf(service).mint());
    return all;
  }

  /** Service tokens of this installation, or with another key of a foreign installation. */
  tokensOf(service: string, key = TEST_KEY): ServiceTokens {
    return new ServiceTokens({ service, key, clock: this.clock });
  }

  /** Returns the value of a counter, summed over all labels. */
  async count(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const series = await this.metrics.registry.getSingleMetric(name)?.get();
    const wanted = Object.entries(labels);
    return (series?.values ?? [])
      .filter((one) => wanted.every(([label, value]) => one.labels[label] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Stops the workers and keeps the data. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const worker of [...this.module.workers].reverse()) await worker.stop();
  }

  /** Closes bus and database, as a kill does: no work is finished and no lease is released. */
  async kill(): Promise<void> {
    this.#isStopped = true;
    await this.#parts.platform.threads.close();
    await this.#parts.platform.bus.close();
    await this.#parts.pool.close();
  }

  /** Stops the module. Removes the data, except data of `beside`. */
  async close(): Promise<void> {
    await this.stop();
    await this.#parts.platform.threads.close();
    if (this.#parts.ownsBus) await this.#parts.platform.bus.close();
    if (this.#parts.ownsData) await this.stored.close();
  }
}

export async function startModule(
  definition: ModuleDefinition,
  engine: Engine,
  options: ModuleOptions = {},
): Promise<ModuleUnderTest> {
  return new ModuleUnderTest(await startParts(definition, engine, options));
}

/** For classes that extend {@link ModuleUnderTest}. */
export async function startParts(
  definition: ModuleDefinition,
  engine: Engine,
  options: ModuleOptions = {},
): Promise<ModuleParts> {
  const { beside } = options;
  const stored = beside?.stored ?? (await openTestDatabase(engine, definition.migrations));
  const pool = options.pool ?? (beside === undefined ? stored.database : await stored.openAnother());
  const clock = options.clock ?? new FakeClock();
  const clocked = withClock(pool, options.databaseClock ?? clock);
  const mails = new SentMails();
  const used = { mail: mails, ...options, clock };
  const platform = platformOf(definition.name, options.wrap?.(clocked) ?? clocked, used);
  const module = await definition.build(platform);
  const key = platform.key("idempotency");
  const dispatcher = createDispatcher({
    ...platform,
    implementations: module.services,
    serviceName: definition.name,
    partners: module.partners,
    ids: options.requestIds ?? platform.ids,
    ledger: options.ledger?.(platform) ?? new IdempotencyLedger({ ...platform, key }),
  });
  for (const worker of module.workers) await worker.start();
  return {
    platform,
    module,
    dispatcher,
    stored,
    pool,
    mails,
    metrics: platform.metrics,
    ownsBus: options.bus === undefined,
    ownsData: beside === undefined,
  };
}

function platformOf(
  service: ServiceName,
  database: Database,
  options: ModuleOptions & { readonly clock: Clock },
): Platform {
  const { clock, ids = randomIds, beside, callers = {} } = options;
  const log = testLogger();
  const serviceTokens = new ServiceTokens({ service, key: TEST_KEY, clock });
  const metrics = new Metrics();
  const platform: Omit<Platform, "credentials"> = {
    clock,
    ids,
    log,
    database,
    serviceTokens,
    metrics,
    mail: options.mail,
    threads: new ThreadPool({ clock, log, metrics }),
    bus: options.bus ?? new EmbeddedBus({ clock, log }),
    caller: (name) => withServiceToken(callers[name] ?? absentCaller(service, name), serviceTokens),
    key: options.key ?? (() => TEST_KEY),
    ownKey: options.key ?? (() => TEST_KEY),
    instanceId: options.instanceId ?? randomIds.next(0),
    exclusive: options.exclusive ?? beside === undefined,
    settings: {
      demoOrganizationId: undefined,
      backlogItemsMax: 1_000_000,
      tracking: {
        clockOffsetMs: 600_000,
        placeholderIds: ["undefined", "null", "[object Object]", "0", "-1", "guest"],
        usersPerAnonymousIdMax: 3,
      },
      publicUrl: "https://muster.test",
      organizationsPerUserMax: 10,
      login: {
        passwordSlots: 2,
        pairFailuresMax: 5,
        pairLockMs: 900_000,
        addressFailuresMax: 50,
        clientFailuresMax: 100,
        windowMs: 3_600_000,
      },
      ...options.settings,
    },
  };
  return { ...platform, credentials: options.credentials?.(platform) ?? credentialTexts };
}

/** Silent unless MUSTER_TEST_LOG names a level. */
export function testLogger(): Logger {
  return createLogger({ level: process.env.MUSTER_TEST_LOG ?? "silent" });
}

function absentCaller(service: ServiceName, name: ServiceName): Caller {
  const failure = (): Error => new Error(`${service} calls ${name}, which is not part of this test`);
  return {
    unary: () => Promise.reject(failure()),
    stream: () => {
      throw failure();
    },
  };
}
