// Starts a private MariaDB: small and quick to start, but as durable as a real server.
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { freePort } from "./free-port.ts";
import { findProgram, hasDocker, installDebianPackage, run } from "./machine-programs.ts";
import { PrivateServer } from "./private-server.ts";

export interface ServerOptions {
  /**
   * Folder for data, socket and log; created if absent. The path must be short, because the path of a socket
   * has at most 107 bytes.
   */
  readonly folder: string;
  /** A free port if absent. */
  readonly port?: number;
  readonly isDetached?: boolean;
}

export interface MysqlServerOptions extends ServerOptions {
  readonly bufferPoolMiB?: number;
}

const IMAGE = "mariadb:10.11";
const INSTALL_TIMEOUT_MS = 120_000;

/** Starts a MariaDB, or fails with the name of the package to install. */
export async function startMysqlServer(options: MysqlServerOptions): Promise<PrivateServer> {
  await mkdir(options.folder, { recursive: true });
  const port = options.port ?? (await freePort());
  const url = `mysql://root@127.0.0.1:${port}`;
  const server = new PrivateServer({
    name: "mariadb",
    folder: options.folder,
    url,
    ...(await commandLine(options, port)),
    isReady: () => isResponding(url),
  });
  await server.start({ isDetached: options.isDetached === true });
  return server;
}

async function commandLine(
  options: MysqlServerOptions,
  port: number,
): Promise<{ program: string; args: string[] }> {
  if (binaries() === undefined && !(await hasDocker())) await installDebianPackage("mariadb-server");
  const found = binaries();
  if (found !== undefined) {
    await makeData(found.installer, options.folder);
    return { program: found.server, args: serverArguments(options, port) };
  }
  if (!(await hasDocker())) {
    throw new Error(
      "no MariaDB for the tests: set MUSTER_TEST_MYSQL_URL, or install mariadb-server, or start Docker",
    );
  }
  const settings = ["--rm", "-p", `127.0.0.1:${port}:3306`, "-e", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1"];
  return { program: "docker", args: ["run", ...settings, IMAGE, ...tuning(options)] };
}

function binaries(): { server: string; installer: string } | undefined {
  const server = findProgram("mariadbd", "mysqld");
  const installer = findProgram("mariadb-install-db", "mysql_install_db");
  return server === undefined || installer === undefined ? undefined : { server, installer };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function makeData(installer: string, folder: string): Promise<void> {
  const data = join(folder, "mysql");
  const isThere = await access(join(data, "mysql")).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  const result = await run(
    installer,
    [
      "--no-defaults",
      `--datadir=${data}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      "--skip-name-resolve",
      // A container's own name often resolves to no address, which does not matter here.
      "--force",
      ...(isRoot() ? ["--user=root"] : []),
    ],
    INSTALL_TIMEOUT_MS,
  );
  if (!result.isSuccess) throw new Error(`${installer} failed:\n${result.output}`);
}

function serverArguments(options: MysqlServerOptions, port: number): string[] {
  return [
    "--no-defaults",
    `--datadir=${join(options.folder, "mysql")}`,
    `--socket=${join(options.folder, "mysql.sock")}`,
    `--pid-file=${join(options.folder, "mysql.pid")}`,
    `--tmpdir=${options.folder}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    ...(isRoot() ? ["--user=root"] : []),
    ...tuning(options),
  ];
}

function tuning(options: MysqlServerOptions): string[] {
  return [
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=1",
    `--innodb-buffer-pool-size=${options.bufferPoolMiB ?? 128}M`,
    "--max-connections=400",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_bin",
  ];
}

async function isResponding(url: string): Promise<boolean> {
  const connection = await createConnection({ uri: url, connectTimeout: 2000 });
  try {
    await connection.query("SELECT 1");
    return true;
  } finally {
    connection.destroy();
  }
}
