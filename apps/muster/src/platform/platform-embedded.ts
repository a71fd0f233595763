// Opens the embedded mode: SQLite files in a folder, the bus and all services in this process. Needs no other
// server.
import { randomBytes } from "node:crypto";
import { EmbeddedBus } from "@muster/bus/embedded";
import type { Config } from "@muster/config";
import type { Clock } from "@muster/core";
import { type Database, openSqlite } from "@muster/db";
import { AppError } from "@muster/errors";
import type { MailTransport, StoredMails } from "@muster/mail";
import { MailFolder } from "@muster/mail/folder";
import { SmtpTransport } from "@muster/mail/smtp";
import type { ServiceName } from "@muster/runtime";
import {
  createDemoOwner,
  DEMO_OWNER_EMAIL,
  ensureDemoOrganization,
  hasDemoOwner,
} from "@muster/service-identity";
import { migrateService } from "../schema.ts";
import { StartError } from "../start-error.ts";
import { servicesOf } from "../targets.ts";
import { DataFolder, DEMO_KEY_FILE, DEMO_OWNER_PASSWORD_FILE } from "./data-folder.ts";
import { embeddedIdentitySecret } from "./identity-secret.ts";
import type { DemoOrganization, DemoOwner, OpenDatabases, OpenPlatform, PlatformDeps } from "./platform.ts";

const LOCK_FILE = "lock.sqlite";
const OWNER_FILE = "pid";
const DEMO_PASSWORD_BYTES = 18;
const MAIL_FOLDER = "mail";
const MAIL_FROM = "Muster <muster@localhost>";

export async function openEmbeddedPlatform(config: Config, deps: PlatformDeps): Promise<OpenPlatform> {
  const folder = await DataFolder.open(config.dataDir);
  const lock = await lockFolder(folder, deps.clock);
  const open = await openEmbeddedDatabases(config, servicesOf(config.targets)).catch(
    async (error: unknown) => {
      await lock.release();
      throw error;
    },
  );
  const { databases } = open;
  const close = async (): Promise<void> => {
    await open.close();
    await lock.release();
  };
  try {
    for (const [service, database] of databases) {
      await migrateService({ service, database, config }, deps.clock);
    }
    const bus = new EmbeddedBus(deps);
    const secret = config.secret ?? (await folder.secret());
    const mail = openMail(config, folder);
    return {
      databases,
      bus,
      ...mail,
      secret,
      identitySecret: embeddedIdentitySecret(config, secret),
      isExclusive: true,
      demo: await openDemo(folder, databases, deps),
      remoteCaller(service) {
        throw new StartError(`${service} runs in no other process in embedded mode`);
      },
      untilUsable: async () => {},
      close: async () => {
        await mail.mail.close();
        await bus.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function openEmbeddedDatabases(
  config: Config,
  services: readonly ServiceName[],
): Promise<OpenDatabases> {
  const folder = await DataFolder.open(config.dataDir);
  const databases = new Map<ServiceName, Database>();
  const close = async (): Promise<void> => {
    await Promise.all([...databases.values()].map((database) => database.close()));
  };
  try {
    for (const service of services) {
      databases.set(service, await openSqlite({ path: folder.file(`${service}.sqlite`) }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { databases, close };
}

/** Without a mail server, mails become files, which /dev/mail shows. */
function openMail(
  { smtpUrl, mailFrom = MAIL_FROM }: Config,
  folder: DataFolder,
): { readonly mail: MailTransport; readonly storedMails: StoredMails | undefined } {
  if (smtpUrl !== undefined) {
    return { mail: new SmtpTransport({ url: smtpUrl, from: mailFrom }), storedMails: undefined };
  }
  const stored = new MailFolder({ path: folder.file(MAIL_FOLDER), from: mailFrom });
  return { mail: stored, storedMails: stored };
}

async function openDemo(
  folder: DataFolder,
  databases: ReadonlyMap<ServiceName, Database>,
  { clock, ids }: PlatformDeps,
): Promise<DemoOrganization | undefined> {
  const identity = databases.get("identity");
  if (identity === undefined) return undefined;
  // A crash may have happened between creating the key and writing the file.
  const keyLost = (await folder.read(DEMO_KEY_FILE)) === undefined;
  const ensured = await ensureDemoOrganization(identity, { clock, ids, keyLost });
  if (ensured === undefined) return closeDemo(folder);
  const { organizationId, secret } = ensured;
  if (secret !== undefined) await folder.write(DEMO_KEY_FILE, secret);
  const owner = await openDemoOwner(folder, identity, { clock, ids });
  return { organizationId, apiKeyPath: folder.file(DEMO_KEY_FILE), newApiKey: secret, owner };
}

/** Keys and passwords of a deleted organization are of no use to anybody. */
async function closeDemo(folder: DataFolder): Promise<undefined> {
  await folder.remove(DEMO_KEY_FILE);
  await folder.remove(DEMO_OWNER_PASSWORD_FILE);
}

/** Creates the owner once. Later changes of the account, a new password for instance, stay. */
async function openDemoOwner(
  folder: DataFolder,
  identity: Database,
  { clock, ids }: Pick<PlatformDeps, "clock" | "ids">,
): Promise<DemoOwner> {
  const passwordPath = folder.file(DEMO_OWNER_PASSWORD_FILE);
  const owner = { email: DEMO_OWNER_EMAIL, passwordPath };
  if (await hasDemoOwner(identity)) return { ...owner, newPassword: undefined };
  // The file comes first: after a crash in between, the next start uses its password.
  const stored = await folder.read(DEMO_OWNER_PASSWORD_FILE);
  const password = stored ?? randomBytes(DEMO_PASSWORD_BYTES).toString("base64url");
  if (stored === undefined) await folder.write(DEMO_OWNER_PASSWORD_FILE, password);
  await createDemoOwner(identity, { clock, ids, password });
  return { ...owner, newPassword: password };
}

interface FolderLock {
  release(): Promise<void>;
}

/**
 * Allows a single server at a time: an open write transaction on a lock file. The operating system ends the
 * transaction with the process, so no lock is left behind.
 */
async function lockFolder(folder: DataFolder, clock: Clock): Promise<FolderLock> {
  const retry = { attemptsMax: 4, pauseMsMax: 50, clock };
  const database = await openSqlite({ path: folder.file(LOCK_FILE), readerPoolMax: 1, retry });
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let held: Promise<void> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      held = database.transaction(async () => {
        resolve();
        await released;
      });
      held.catch(reject);
    });
  } catch (error) {
    await database.close();
    if (error instanceof AppError && error.reason === "UNAVAILABLE") throw await inUse(folder);
    throw error;
  }
  await folder.write(OWNER_FILE, `${process.pid} since ${new Date(clock.nowMs()).toISOString()}`);
  return {
    async release() {
      await folder.remove(OWNER_FILE);
      release();
      await held;
      await database.close();
    },
  };
}

async function inUse(folder: DataFolder): Promise<StartError> {
  const owner = (await folder.read(OWNER_FILE)) ?? "unknown";
  return new StartError(
    `The data folder ${folder.path} is in use by another Muster (process ${owner}). Stop that one, or give ` +
      "this one a folder and ports of its own: MUSTER_DATA_DIR, MUSTER_HTTP_PORT, MUSTER_GRPC_PORT.",
  );
}
