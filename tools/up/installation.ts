// Manages the folder of `make up`. Ports and key are chosen once and kept, so that a restarted part has the
// same address.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { SERVICE_NAMES, type Target } from "@muster/config";

export interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly metrics: number;
}

export interface Installation {
  readonly folder: string;
  readonly secret: string;
  readonly identitySecret: string;
  readonly mysqlPort: number;
  readonly natsPort: number;
  /** SMTP port of the mail catcher. */
  readonly mailPort: number;
  readonly ports: Readonly<Record<Target, Ports>>;
}

const FILE = "installation.json";
const GATEWAY_HTTP_PORT = 3000;

export async function openInstallation(
  folder: string,
  gatewayPort: number | undefined,
): Promise<Installation> {
  mkdirSync(join(folder, "logs"), { recursive: true });
  const path = join(folder, FILE);
  if (existsSync(path)) return movedTo(gatewayPort, await stored(path, folder), path);
  const wanted = gatewayPort ?? ((await isFree(GATEWAY_HTTP_PORT)) ? GATEWAY_HTTP_PORT : await freePort());
  const installation: Installation = {
    folder,
    secret: newSecret(),
    identitySecret: newSecret(),
    mysqlPort: await freePort(),
    natsPort: await freePort(),
    mailPort: await freePort(),
    ports: {
      identity: { http: await freePort(), ...(await otherPorts()) },
      events: { http: await freePort(), ...(await otherPorts()) },
      segments: { http: await freePort(), ...(await otherPorts()) },
      gateway: { http: wanted, ...(await otherPorts()) },
    },
  };
  return save(installation, path);
}

async function otherPorts(): Promise<Omit<Ports, "http">> {
  return { grpc: await freePort(), metrics: await freePort() };
}

function newSecret(): string {
  return randomBytes(32).toString("base64");
}

/** The stored installation. An installation of an older version gets the secret and the ports that it lacks. */
async function stored(path: string, folder: string): Promise<Installation> {
  const installation = { ...(JSON.parse(readFileSync(path, "utf8")) as Installation), folder };
  const { identitySecret, mailPort } = installation;
  if (identitySecret !== undefined && mailPort !== undefined) return installation;
  const added = { identitySecret: identitySecret ?? newSecret(), mailPort: mailPort ?? (await freePort()) };
  return save({ ...installation, ...added }, path);
}

/** A requested port of the gateway replaces the stored port. */
function movedTo(gatewayPort: number | undefined, installation: Installation, path: string): Installation {
  const { ports } = installation;
  if (gatewayPort === undefined || gatewayPort === ports.gateway.http) return installation;
  const gateway = { ...ports.gateway, http: gatewayPort };
  return save({ ...installation, ports: { ...ports, gateway } }, path);
}

function save(installation: Installation, path: string): Installation {
  writeFileSync(path, `${JSON.stringify(installation, null, 2)}\n`, { mode: 0o600 });
  return installation;
}

/** Variables that a user may set for `make up`; this tool sets all others. */
const PASSED_ON = ["MUSTER_LOG_LEVEL", "MUSTER_BACKLOG_ITEMS_MAX", "MUSTER_DATABASE_POOL_MAX"];

/** The environment of a process, or of an administrative command. */
export function environmentOf(installation: Installation, target?: Target): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("MUSTER_") || PASSED_ON.includes(name),
  );
  const ports = target === undefined ? undefined : installation.ports[target];
  return {
    ...Object.fromEntries(kept),
    MUSTER_MODE: "production",
    MUSTER_SECRET: installation.secret,
    // Administrative commands, which have no target, use the secret too.
    ...(target === undefined || target === "identity"
      ? { MUSTER_IDENTITY_SECRET: installation.identitySecret }
      : {}),
    MUSTER_DATABASE_URL: `mysql://root@127.0.0.1:${installation.mysqlPort}`,
    MUSTER_NATS_URL: `nats://127.0.0.1:${installation.natsPort}`,
    MUSTER_PUBLIC_URL: `http://127.0.0.1:${installation.ports.gateway.http}`,
    MUSTER_SMTP_URL: `smtp://127.0.0.1:${installation.mailPort}`,
    MUSTER_MAIL_FROM: "Muster <muster@localhost>",
    MUSTER_HTTP_HOST: "127.0.0.1",
    MUSTER_GRPC_HOST: "127.0.0.1",
    ...Object.fromEntries(
      SERVICE_NAMES.map((service) => [
        `MUSTER_${service.toUpperCase()}_ADDRESS`,
        `127.0.0.1:${installation.ports[service].grpc}`,
      ]),
    ),
    ...(ports === undefined
      ? {}
      : {
          MUSTER_HTTP_PORT: String(ports.http),
          MUSTER_GRPC_PORT: String(ports.grpc),
          // An installation of an older version has no such port.
          MUSTER_METRICS_PORT: String(ports.metrics ?? 0),
        }),
  };
}

export function isFree(port: number): Promise<boolean> {
  return listen(port).then(
    () => true,
    () => false,
  );
}

/** A port without a listener at the moment. */
function freePort(): Promise<number> {
  return listen(0);
}

function listen(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"));
        else resolve(address.port);
      });
    });
  });
}
