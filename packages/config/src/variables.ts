// Declares every variable that Muster reads. `.env.example`, --print-config and validation are derived from
// this list.
import {
  address,
  choice,
  choiceList,
  integer,
  keyBytes,
  networkList,
  text,
  textList,
  url,
  urlList,
} from "./kinds.ts";
import { loginVariables } from "./login-variables.ts";
import { mailVariables } from "./mail-variables.ts";
import {
  byMode,
  given,
  MODES,
  optional,
  PRODUCTION,
  type Purpose,
  type SERVICE_NAMES,
  TARGETS,
  type Target,
  type Variable,
} from "./variable.ts";

const TEXT = /^[^\0]+$/;
const HOST = text(/^[\w.:-]+$/, "a host name or address");

function hasServices({ targets }: Purpose): boolean {
  return targets.some((target) => target !== "gateway");
}

function isRemote(service: Target): (purpose: Purpose) => boolean {
  return ({ mode, command, targets }) =>
    mode === "production" &&
    command === "serve" &&
    !targets.includes(service) &&
    isRequested(service, targets);
}

/**
 * The gateway calls every service; every service calls identity; segments calls events, and events calls
 * segments about retention and exports. No service waits for another when it starts.
 */
function isRequested(service: Target, targets: readonly Target[]): boolean {
  if (targets.includes("gateway") || service === "identity") return true;
  return targets.includes(service === "events" ? "segments" : "events");
}

export const variables = {
  mode: given({
    name: "MUSTER_MODE",
    doc: "Which adapters: embedded (SQLite files, in-process bus, one process) or production (MySQL, NATS).",
    kind: choice(...MODES),
    fallback: () => "embedded",
  }),
  targets: given({
    name: "MUSTER_TARGET",
    doc: "Which modules this process runs. Embedded mode runs all.",
    kind: choiceList(...TARGETS),
    fallback: () => "all",
  }),
  dataDir: given({
    name: "MUSTER_DATA_DIR",
    doc: "Folder of the databases, the installation key and the demo API key.",
    kind: text(TEXT, "a folder"),
    fallback: () => "./data",
    modes: ["embedded"],
  }),
  httpHost: given({
    name: "MUSTER_HTTP_HOST",
    doc: "Address the HTTP port listens on.",
    kind: HOST,
    fallback: byMode("127.0.0.1", "0.0.0.0"),
  }),
  httpPort: given({
    name: "MUSTER_HTTP_PORT",
    doc: "REST, Connect and gRPC-Web on the gateway; probes on every process. 0 selects a free port.",
    kind: integer(0, 65_535),
    fallback: () => "3000",
  }),
  metricsPort: given({
    name: "MUSTER_METRICS_PORT",
    doc: "Port of /metrics, which must not be public. 0 serves /metrics on the HTTP port.",
    kind: integer(0, 65_535),
    fallback: byMode("0", "9464"),
  }),
  grpcHost: given({
    name: "MUSTER_GRPC_HOST",
    doc: "Address the gRPC port listens on.",
    kind: HOST,
    fallback: byMode("127.0.0.1", "0.0.0.0"),
  }),
  grpcPort: given({
    name: "MUSTER_GRPC_PORT",
    doc: "gRPC of the services that run in this process. 0 selects a free port.",
    kind: integer(0, 65_535),
    fallback: () => "50051",
  }),
  corsOrigins: given({
    name: "MUSTER_CORS_ORIGINS",
    doc: "Origins whose pages may call the gateway, as a comma list. Empty: none.",
    kind: textList(/^https?:\/\/[^/\s,]+$/, "a comma list of origins such as https://app.example.com"),
    fallback: () => "",
  }),
  trustedProxies: given({
    name: "MUSTER_TRUSTED_PROXIES",
    doc: "Addresses and networks of the proxies in front of the gateway, as a comma list. The client's address is read from their X-Forwarded-For headers, and from nobody else's. Empty: clients connect directly.",
    kind: networkList,
    fallback: () => "",
  }),
  publicRequestsPerMinute: given({
    name: "MUSTER_PUBLIC_REQUESTS_PER_MINUTE",
    doc: "Requests that one client may send to public methods in a minute, on each replica. A client is an IPv4 address or the /64 network of an IPv6 address.",
    kind: integer(1, 1_000_000),
    fallback: () => "120",
  }),
  credentialRequestsPerMinute: given({
    name: "MUSTER_CREDENTIAL_REQUESTS_PER_MINUTE",
    doc: "The same for public methods that take a password, a code or a token.",
    kind: integer(1, 1_000_000),
    fallback: () => "30",
  }),
  secret: optional({
    name: "MUSTER_SECRET",
    doc: "The installation's key, the same in every process: at least 32 random bytes in base64 or hexadecimal. Embedded mode generates a key and stores it in the data folder.",
    kind: keyBytes,
    requiredFor: ({ mode, command }) => mode === "production" && command === "serve",
    isSecret: true,
  }),
  identitySecret: optional({
    name: "MUSTER_IDENTITY_SECRET",
    doc: "Seals what identity alone reads, such as the keys that sign access tokens. The same in every process that runs identity, and in no other process. Embedded mode derives the secret from MUSTER_SECRET.",
    kind: keyBytes,
    requiredFor: ({ mode, command, targets }) =>
      mode === "production" && command === "serve" && targets.includes("identity"),
    isSecret: true,
  }),
  databaseUrl: optional({
    name: "MUSTER_DATABASE_URL",
    doc: "MariaDB, MySQL 8 or TiDB. Each service has its own database, named by prefix and service.",
    kind: url("mysql"),
    modes: PRODUCTION,
    isSecret: true,
  }),
  identityDatabaseUrl: optional(databaseUrlOf("identity")),
  eventsDatabaseUrl: optional(databaseUrlOf("events")),
  segmentsDatabaseUrl: optional(databaseUrlOf("segments")),
  databasePrefix: given({
    name: "MUSTER_DATABASE_PREFIX",
    doc: "Begins the name of each service's database.",
    kind: text(/^\w{0,40}$/, "at most 40 letters, digits and underscores"),
    fallback: () => "muster_",
    modes: PRODUCTION,
  }),
  databasePoolMax: given({
    name: "MUSTER_DATABASE_POOL_MAX",
    doc: "Connections of one service in one process.",
    kind: integer(2, 1000),
    fallback: () => "16",
    modes: PRODUCTION,
  }),
  natsUrls: optional({
    name: "MUSTER_NATS_URL",
    doc: "NATS with JetStream; a comma list for a cluster.",
    kind: urlList("nats", "tls"),
    requiredFor: (purpose) =>
      purpose.mode === "production" && purpose.command === "serve" && hasServices(purpose),
    modes: PRODUCTION,
    isSecret: true,
  }),
  natsPrefix: given({
    name: "MUSTER_NATS_PREFIX",
    doc: "Begins the names of streams and subjects, so that two installations can share one NATS.",
    kind: text(/^[a-z][a-z0-9_-]{0,31}$/, "a lower-case name of at most 32 characters"),
    fallback: () => "muster",
    modes: PRODUCTION,
  }),
  natsReplicas: given({
    name: "MUSTER_NATS_REPLICAS",
    doc: "Copies that a NATS cluster keeps of each stream.",
    kind: integer(1, 5),
    fallback: () => "1",
    modes: PRODUCTION,
  }),
  identityAddress: optional(addressOf("identity")),
  eventsAddress: optional(addressOf("events")),
  segmentsAddress: optional(addressOf("segments")),
  backlogItemsMax: given({
    name: "MUSTER_BACKLOG_ITEMS_MAX",
    doc: "Limit of acknowledged events that are not applied yet. Above it batches are refused, and single posts at twice as many.",
    kind: integer(1000, 100_000_000),
    fallback: () => "250000",
  }),
  trackingClockOffsetMs: given({
    name: "MUSTER_TRACKING_CLOCK_OFFSET_MS",
    doc: "Smallest difference between the sentAt of a tracking request and the time of receipt that counts as a wrong clock of the client, in milliseconds.",
    kind: integer(1000, 86_400_000),
    fallback: () => "600000",
  }),
  trackingPlaceholderIds: given({
    name: "MUSTER_TRACKING_PLACEHOLDER_IDS",
    doc: "Ids of tracking calls that stand for nobody and never link profiles, as a comma list in any case. The empty id is always one.",
    kind: textList(/^[^\0]{1,255}$/, "a comma list of ids"),
    fallback: () =>
      "undefined,null,nil,none,nan,[object Object],true,false,0,-1,guest,anonymous,unknown,00000000-0000-0000-0000-000000000000",
  }),
  trackingUsersPerAnonymousIdMax: given({
    name: "MUSTER_TRACKING_USERS_PER_ANONYMOUS_ID_MAX",
    doc: "Most known users with whom tracking calls merge one anonymous id, undone merges included.",
    kind: integer(1, 1000),
    fallback: () => "3",
  }),
  eventCatalog: optional({
    name: "MUSTER_EVENT_CATALOG",
    doc: "File of the event catalog, which lists the events that earn points. Unset: config/events.yaml beside the code.",
    kind: text(TEXT, "a file"),
  }),
  ...mailVariables,
  organizationsPerUserMax: given({
    name: "MUSTER_MAX_ORGANIZATIONS_PER_USER",
    doc: "A user who owns as many organizations creates no more. Organizations of `muster create-organization` are not limited.",
    kind: integer(1, 1000),
    fallback: () => "10",
  }),
  identityGraceMs: given({
    name: "MUSTER_IDENTITY_GRACE_MS",
    doc: "How long API keys that were verified before are accepted while identity is unreachable, in milliseconds. Revoked keys and methods that issue keys or erase people are refused at once.",
    kind: integer(0, 600_000),
    fallback: () => "120000",
  }),
  ...loginVariables,
  drainDelayMs: given({
    name: "MUSTER_DRAIN_DELAY_MS",
    doc: "How long a stopping process still accepts requests while /readyz returns 503, in milliseconds.",
    kind: integer(0, 300_000),
    fallback: () => "0",
  }),
  drainTimeoutMs: given({
    name: "MUSTER_DRAIN_TIMEOUT_MS",
    doc: "How long requests in flight may take to finish when stopping, in milliseconds.",
    kind: integer(0, 300_000),
    fallback: () => "10000",
  }),
  url: given({
    name: "MUSTER_URL",
    doc: "REST address of the running server, for client commands such as `muster import`.",
    kind: url("http", "https"),
    fallback: () => "http://127.0.0.1:3000",
  }),
  apiKey: optional({
    name: "MUSTER_API_KEY",
    doc: "API key of client commands. Unset: the demo key in the data folder.",
    kind: text(/^[\x21-\x7e]{1,512}$/, "an API key"),
    isSecret: true,
  }),
  environmentFile: optional({
    name: "MUSTER_ENV_FILE",
    doc: "File of NAME=value lines for variables that are not set. Every command but `serve` reads it; `make up` writes one.",
    kind: text(TEXT, "a file"),
  }),
  logLevel: given({
    name: "MUSTER_LOG_LEVEL",
    doc: "error pages somebody on call, warn deserves attention within a day, info is the normal record, debug is for developers.",
    kind: choice("error", "warn", "info", "debug"),
    fallback: byMode("warn", "info"),
  }),
} as const satisfies Record<string, Variable<unknown>>;

function databaseUrlOf(service: (typeof SERVICE_NAMES)[number]): Variable<string> {
  return {
    name: `MUSTER_${service.toUpperCase()}_DATABASE_URL`,
    doc: `Database server of ${service}, if it has its own; a path in the URL names the database.`,
    kind: url("mysql"),
    modes: PRODUCTION,
    isSecret: true,
  };
}

function addressOf(service: (typeof SERVICE_NAMES)[number]): Variable<string> {
  return {
    name: `MUSTER_${service.toUpperCase()}_ADDRESS`,
    doc: `gRPC address of ${service}, if another process runs it.`,
    kind: address,
    requiredFor: isRemote(service),
    modes: PRODUCTION,
  };
}
