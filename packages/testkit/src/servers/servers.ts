// Provides MariaDB and NATS for tests, benchmarks and `make up`: the servers named by the environment, or
// private servers.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMysqlServer } from "./mysql-server.ts";
import { startNatsServer } from "./nats-server.ts";
import type { PrivateServer } from "./private-server.ts";

export interface ServersOptions {
  /** Folder of the data; a temporary folder, removed by stop, if absent. */
  readonly folder?: string;
  readonly mysqlPort?: number;
  readonly natsPort?: number;
  /** The servers outlive this process; see `mysql` and `nats` for their process ids. */
  readonly isDetached?: boolean;
  readonly bufferPoolMiB?: number;
  /** Starts private servers even when the environment names servers: for tests that kill them. */
  readonly isPrivate?: boolean;
}

export interface Servers {
  readonly mysqlUrl: string;
  readonly natsUrl: string;
  /** Undefined when the environment names the server. */
  readonly mysql: PrivateServer | undefined;
  readonly nats: PrivateServer | undefined;
  /** Stops the servers started here, and removes a temporary folder. */
  stop(): Promise<void>;
}

/** The servers of MUSTER_TEST_MYSQL_URL and MUSTER_TEST_NATS_URL, or private servers. */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const mysqlUrl = options.isPrivate === true ? "" : (process.env.MUSTER_TEST_MYSQL_URL ?? "");
  const natsUrl = options.isPrivate === true ? "" : (process.env.MUSTER_TEST_NATS_URL ?? "");
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "muster-")));
  const common = { folder, isDetached: options.isDetached === true };
  const started: PrivateServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()));
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  };
  const note = async (starting: Promise<PrivateServer>): Promise<PrivateServer> => {
    const server = await starting;
    started.push(server);
    return server;
  };
  const [mysql, nats] = await Promise.allSettled([
    mysqlUrl === ""
      ? note(
          startMysqlServer({
            ...common,
            ...(options.mysqlPort === undefined ? {} : { port: options.mysqlPort }),
            ...(options.bufferPoolMiB === undefined ? {} : { bufferPoolMiB: options.bufferPoolMiB }),
          }),
        )
      : undefined,
    natsUrl === ""
      ? note(
          startNatsServer({
            ...common,
            ...(options.natsPort === undefined ? {} : { port: options.natsPort }),
          }),
        )
      : undefined,
  ]);
  if (mysql.status === "rejected" || nats.status === "rejected") {
    await stop();
    throw mysql.status === "rejected" ? mysql.reason : (nats as PromiseRejectedResult).reason;
  }
  return {
    mysqlUrl: mysql.value?.url ?? mysqlUrl,
    natsUrl: nats.value?.url ?? natsUrl,
    mysql: mysql.value,
    nats: nats.value,
    stop,
  };
}
