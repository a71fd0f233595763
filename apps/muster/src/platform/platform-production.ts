// Opens the production mode: MySQL databases, NATS JetStream, other services behind gRPC addresses.
import type { Bus } from "@muster/bus";
import { EmbeddedBus } from "@muster/bus/embedded";
import { JetStreamBus } from "@muster/bus/jetstream";
import { type Config, databaseOf } from "@muster/config";
import { createDatabaseIfAbsent, type Database, openMysql } from "@muster/db";
import { AppError } from "@muster/errors";
import type { MailTransport } from "@muster/mail";
import { SmtpTransport } from "@muster/mail/smtp";
import { grpcCaller } from "@muster/rpc";
import type { ServiceName } from "@muster/runtime";
import { missingMigrations, type ServiceDatabase } from "../schema.ts";
import { StartError } from "../start-error.ts";
import { servicesOf } from "../targets.ts";
import type { OpenDatabases, OpenPlatform, PlatformDeps } from "./platform.ts";

const RETRY_MS = 1_000;

export async function openProductionPlatform(config: Config, deps: PlatformDeps): Promise<OpenPlatform> {
  const { secret } = config;
  if (secret === undefined) throw new StartError("MUSTER_SECRET is missing");
  const databases = await openOwnDatabases(config, servicesOf(config.targets));
  const bus = await openBus(config, deps);
  const mail = openMail(config);
  const callers = new Map<ServiceName, ReturnType<typeof grpcCaller>>();
  return {
    databases,
    bus,
    mail,
    storedMails: undefined,
    secret,
    identitySecret: config.identitySecret,
    isExclusive: false,
    demo: undefined,
    remoteCaller(service) {
      const address = config[`${service}Address`];
      if (address === undefined) throw new StartError(`MUSTER_${service.toUpperCase()}_ADDRESS is missing`);
      const caller = callers.get(service) ?? grpcCaller({ address });
      callers.set(service, caller);
      return caller;
    },
    untilUsable: async (signal) => {
      for (const [service, database] of databases)
        await untilCurrent({ service, database, config }, deps, signal);
    },
    close: async () => {
      for (const caller of callers.values()) caller.close();
      try {
        await mail?.close();
        await bus.close();
      } finally {
        await closeAll(databases);
      }
    },
  };
}

/** The configuration requires both variables where mails are sent. */
function openMail({ smtpUrl, mailFrom }: Config): MailTransport | undefined {
  if (smtpUrl === undefined || mailFrom === undefined) return undefined;
  return new SmtpTransport({ url: smtpUrl, from: mailFrom });
}

/** For administrative commands: creates missing databases. */
export async function openProductionDatabases(
  config: Config,
  services: readonly ServiceName[],
): Promise<OpenDatabases> {
  for (const service of services) {
    const { url, name } = databaseOf(config, service);
    await createDatabaseIfAbsent(url, name).catch((error: unknown) => {
      throw refusal(error, service) ?? error;
    });
  }
  const databases = await openOwnDatabases(config, services);
  return { databases, close: () => closeAll(databases) };
}

async function closeAll(databases: ReadonlyMap<ServiceName, Database>): Promise<void> {
  await Promise.all([...databases.values()].map((database) => database.close()));
}

async function openOwnDatabases(
  config: Config,
  services: readonly ServiceName[],
): Promise<Map<ServiceName, Database>> {
  const databases = new Map<ServiceName, Database>();
  for (const service of services) {
    const { url, name } = databaseOf(config, service);
    const database = await openMysql({ url, database: name, poolMax: config.databasePoolMax });
    databases.set(service, database);
  }
  return databases;
}

/** A process with only the gateway exchanges no domain events, so its bus is local. */
async function openBus(config: Config, { clock, log }: PlatformDeps): Promise<Bus> {
  if (config.natsUrls === undefined) return new EmbeddedBus({ clock, log });
  const name = `muster-${config.targets.join("-")}`;
  return JetStreamBus.connect({
    servers: config.natsUrls,
    name,
    namespace: config.natsPrefix,
    replicas: config.natsReplicas,
    clock,
    log,
  });
}

/**
 * Waits for a database that does not respond. A schema that is too old fails at once, because waiting cannot
 * change it.
 */
async function untilCurrent(
  of: ServiceDatabase,
  { clock, log }: PlatformDeps,
  signal: AbortSignal,
): Promise<void> {
  const { service } = of;
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      const [first] = await missingMigrations(of);
      if (first === undefined) return;
      throw new StartError(
        `The database of ${service} is older than this version (it lacks ${first}). Run \`muster migrate\` first.`,
      );
    } catch (error) {
      const refused = refusal(error, service);
      if (refused !== undefined) throw refused;
      if (!(error instanceof AppError) || error.reason !== "UNAVAILABLE") throw error;
      if (attempt === 1) log.warn({ service, err: error }, "waiting for the database");
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

const ACCESS_DENIED = new Set([1044, 1045, 1698]);
const UNKNOWN_DATABASE = 1049;

/** Errors of the server that waiting cannot resolve, as messages that state what to do. */
function refusal(error: unknown, service: ServiceName): StartError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { errno } = cause as { errno?: unknown };
    if (errno === UNKNOWN_DATABASE) {
      return new StartError(`The database of ${service} does not exist. Run \`muster migrate\` first.`);
    }
    if (typeof errno === "number" && ACCESS_DENIED.has(errno)) {
      return new StartError(
        `The database server refuses the user of ${service}: check the user, the password and the rights of MUSTER_DATABASE_URL.`,
      );
    }
  }
  return undefined;
}
