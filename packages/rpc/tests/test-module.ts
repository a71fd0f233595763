// Provides hand-written handlers behind a real dispatcher, for the tests of the mounts.
import { create } from "@bufbuild/protobuf";
import type {
  CredentialPrincipal,
  CredentialVerifier,
  ServiceTokenClaims,
  ServiceTokenPort,
  UserPrincipal,
  VerifyOptions,
} from "@muster/authz";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  ApiKeyService,
  CreateApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import {
  type Clock,
  type OrganizationId,
  type SessionId,
  type SigningKeyId,
  systemClock,
  type UserId,
} from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import type { IdempotencyLedgerPort } from "@muster/idempotency";
import type { LogFields, Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import type { RateLimiter } from "@muster/rate-limits";
import {
  type Admission,
  type CallContext,
  createAdmission,
  createDispatcher,
  type Dispatcher,
  implement,
} from "../src/index.ts";

export const ORGANIZATION = "0190a5b4-0000-7000-8000-00000000000a" as OrganizationId;
const OTHER_ORGANIZATION = "0190a5b4-0000-7000-8000-00000000000b" as OrganizationId;
const DEMO_ORGANIZATION = "0190a5b4-0000-7000-8000-00000000000d" as OrganizationId;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Records the actions of handlers, for assertions. */
export interface Observed {
  readonly log: LogLine[];
  readonly calls: CallContext[];
  /** Messages that a streaming handler has read or requested. */
  read: number;
  yielded: number;
  ended: number;
}

/**
 * The keys "reader" and "writer" may read and do all. The tokens "ada-a" and "ada-b" are of a user in two organizations.
 * "outage" makes identity unreachable.
 */
export class TestKeys implements CredentialVerifier {
  readonly #listeners = new Set<(id: string | undefined) => void>();
  readonly #ended = new Set<string>();
  #readOnly = false;
  /** The end of every key that is verified from now on. */
  expireTimeMs: number | undefined;
  /** Access tokens are refused, except for streams that began before. */
  isTokenExpired = false;

  async verify(
    key: string,
    { isStreaming = false }: VerifyOptions = {},
  ): Promise<CredentialPrincipal | undefined> {
    if (key === "outage") throw new AppError("UNAVAILABLE", { retryAfterMs: 1000 });
    if (key === "ada-a" || key === "ada-b") return this.#user(key, isStreaming);
    if ((key !== "reader" && key !== "writer") || this.#ended.has(key)) return undefined;
    const isWriter = key === "writer" && !this.#readOnly;
    const has = (permission: string): boolean => isWriter || permission.endsWith(".read");
    const { expireTimeMs } = this;
    return {
      kind: "api_key",
      id: `id-of-${key}`,
      organizationId: ORGANIZATION,
      permissions: { has },
      expireTimeMs,
    };
  }

  /** Sessions are named as their tokens. */
  #user(token: string, isStreaming: boolean): UserPrincipal | undefined {
    if (this.#ended.has(token)) throw new AppError("SESSION_ENDED");
    if (!isStreaming && this.isTokenExpired) return undefined;
    return {
      kind: "user",
      id: "ada" as UserId,
      sessionId: `id-of-${token}` as SessionId,
      organizationId: token === "ada-a" ? ORGANIZATION : OTHER_ORGANIZATION,
      role: "owner",
      permissions: { has: () => true },
      authenticatedMs: systemClock.nowMs(),
      stepUpMethods: [],
      needsSecondFactor: false,
      signingKeyId: "signing-key" as SigningKeyId,
      expireTimeMs: this.expireTimeMs ?? Number.MAX_SAFE_INTEGER,
    };
  }

  onChange(listener: (id: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Streams that follow the keys. */
  get followers(): number {
    return this.#listeners.size;
  }

  /** With `isAnnounced` false, as if the announcement got lost. */
  end(key: string, { isAnnounced = true } = {}): void {
    this.#ended.add(key);
    if (!isAnnounced) return;
    this.announce(`id-of-${key}`);
  }

  announce(id: string | undefined): void {
    for (const listener of [...this.#listeners]) listener(id);
  }

  /** Takes every permission to write. */
  restrict(): void {
    this.#readOnly = true;
    this.announce(undefined);
  }
}

/** A token is the JSON of its claims. */
export function tokensOf(service: string): ServiceTokenPort {
  return {
    mint: (options) => JSON.stringify({ service, actAsDemo: options?.actAsDemo ?? false }),
    verify(token) {
      try {
        return JSON.parse(token) as ServiceTokenClaims;
      } catch {
        return undefined;
      }
    },
  };
}

export const FULL_ERROR = new AppError("EVENT_CONFLICT", {
  message: '100% wrong: \u00fcber "caf\u00e9" + $1/2',
  fields: [
    { field: "events[3].name", message: "is not \u00e9" },
    { field: "events[4].timestamp", message: "differs" },
  ],
  details: { event_id: "e-1" },
  retryAfterMs: 2500,
});

export interface TestModule {
  readonly dispatcher: Dispatcher;
  readonly keys: TestKeys;
  readonly admission: Admission;
  readonly observed: Observed;
  readonly metrics: Metrics;
}

export interface TestModuleOptions {
  readonly ledger?: IdempotencyLedgerPort;
  /** Database with a table "effects", written for keys named "stored…". */
  readonly database?: Database;
  /** By default the machine's. */
  readonly clock?: Clock;
  readonly limiter?: RateLimiter;
}

export function testModule({
  ledger,
  database,
  clock = systemClock,
  limiter,
}: TestModuleOptions = {}): TestModule {
  const observed: Observed = { log: [], calls: [], read: 0, yielded: 0, ended: 0 };
  const metrics = new Metrics();
  const keys = new TestKeys();
  const callers = {
    credentials: keys,
    serviceTokens: tokensOf("test"),
    demoOrganizationId: DEMO_ORGANIZATION,
    clock,
  };
  const dispatcher = createDispatcher({
    implementations: [
      organizations(),
      apiKeyMethods(observed, database),
      events(observed),
      feed(),
      magicLinks(observed),
    ],
    serviceName: "test",
    log: recorder(observed.log),
    metrics,
    ...callers,
    ledger,
    limiter,
  });
  return { dispatcher, admission: createAdmission({ ...callers, limiter }), keys, observed, metrics };
}

function recorder(lines: LogLine[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) =>
    void lines.push({ level, message, fields });
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: () => logger,
  };
  return logger;
}

/** Resolves only when the call is over. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function organizations() {
  return implement(OrganizationService, {
    createOrganization: async () => ({}),
    async listOrganizations(request) {
      const name = "n".repeat(1000);
      return { organizations: Array.from({ length: request.pageSize * 10 }, () => ({ name })) };
    },
    getOrganization: async () => ({}),
    updateOrganization: async () => ({}),
    deleteOrganization: async () => ({}),
    undeleteOrganization: async () => ({}),
  });
}

/** A valid request; the name selects the outcome of the call. */
export function newKey(name: string): { name: string; scopes: string[] } {
  return { name, scopes: ["events.read"] };
}

/** The name of the key selects the outcome of the call. */
function apiKeyMethods(observed: Observed, database?: Database) {
  return implement(ApiKeyService, {
    createApiKey(request, context) {
      observed.calls.push(context);
      if (request.name === "throws") throw new Error("SELECT secret FROM keys");
      return create_(request.name, context);
    },
    listApiKeys: async () => ({}),
    getApiKeyUsage: async () => ({}),
    updateApiKey: async () => ({}),
    deleteApiKey: async () => ({}),
    rotateApiKey: async () => ({}),
  });

  async function create_(name: string, context: CallContext) {
    if (name.startsWith("stored")) return store(name, context, database);
    switch (name) {
      case "rejects":
        throw new TypeError("SELECT secret FROM keys");
      case "fails":
        throw FULL_ERROR;
      case "hangs":
        return new Promise<never>(() => {});
      case "waits":
        await aborted(context.signal);
        observed.ended += 1;
        throw context.signal.reason;
      case "unencodable":
        return { apiKey: { createTime: { seconds: 0n, nanos: 2 ** 40 } } };
      default:
        context.responseHeaders.set("muster-http-status", "202");
        return { apiKey: { id: context.organizationId, name }, secret: context.requestId };
    }
  }
}

/** Writes the effect and the response in the same transaction; "stored, then fails" rolls both back. */
async function store(name: string, context: CallContext, database: Database | undefined) {
  const response = create(CreateApiKeyResponseSchema, { secret: context.requestId });
  context.responseHeaders.set("muster-http-status", "202");
  await database?.transaction(async (trx) => {
    await trx("effects").insert({ name: Buffer.from(name) });
    await context.saveResponse(trx, response);
    if (name === "stored, then fails") throw new Error("the database went away");
  });
  return response;
}

/**
 * The first requested name selects the behavior of a tail; the first event's user selects that of an ingest.
 */
function events(observed: Observed) {
  return implement(EventService, {
    recordEvent: async (request) => ({ event: { name: request.event?.name ?? "" } }),
    recordProfileEvent: async (request) => ({ event: { name: request.name } }),
    batchRecordEvents: async (request) => ({ results: request.events.map((_, index) => ({ index })) }),
    listEvents: async () => ({}),
    async *ingestEvents(requests, context) {
      observed.calls.push(context);
      try {
        for await (const request of requests) {
          observed.read += 1;
          const behavior = request.event?.name;
          if (behavior === "throws") throw new Error("SELECT secret FROM keys");
          if (behavior === "fails") throw FULL_ERROR;
          if (behavior === "stalls") await aborted(context.signal);
          if (behavior === "quits") return;
          if (behavior === "fails while reading") {
            const pendingRead = requests[Symbol.asyncIterator]().next();
            pendingRead.then(
              ({ done }) => {
                if (done === true) observed.ended += 1;
              },
              () => {},
            );
            throw FULL_ERROR;
          }
          yield { ackedThrough: request.sequence };
        }
        yield { ackedThrough: -1n };
      } catch (error) {
        // A handler that continues after a refused message must not turn the refusal into a success.
        if (error instanceof AppError && error.reason === "REQUEST_MALFORMED") return;
        throw error;
      } finally {
        observed.ended += 1;
      }
    },
    async *tailEvents(request, context) {
      observed.calls.push(context);
      const [behavior, size] = request.names;
      if (behavior === "fails at once") throw FULL_ERROR;
      try {
        yield { resumeToken: "attached" };
        if (behavior === "throws") throw new Error("SELECT secret FROM keys");
        if (behavior === "fails") throw FULL_ERROR;
        if (behavior === "hangs") await new Promise<never>(() => {});
        if (behavior === "waits") await aborted(context.signal);
        if (behavior === "bursts") {
          for (let message = 0; message < 3; message += 1) yield { resumeToken: "x".repeat(Number(size)) };
          await aborted(context.signal);
        }
        while (behavior === "floods") {
          observed.yielded += 1;
          yield { resumeToken: "x".repeat(Number(size)) };
        }
      } finally {
        observed.ended += 1;
      }
    },
  });
}

/** Public methods. */
function magicLinks(observed: Observed) {
  const record = async (_request: unknown, context: CallContext) => {
    observed.calls.push(context);
    return {};
  };
  return implement(MagicLinkService, { sendMagicLink: record, redeemMagicLink: record });
}

function feed() {
  return implement(EventFeedService, {
    getPositions: async () => ({ positions: [1n, 2n] }),
    readOutbox: async () => ({}),
    reportApplied: async () => ({}),
    scanProfileEvents: async function* () {},
    batchGetProfiles: async () => ({}),
    batchResolveProfiles: async () => ({}),
    sampleProfiles: async () => ({}),
    reportErasure: async () => ({}),
  });
}
