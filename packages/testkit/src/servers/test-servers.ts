// Finds the MariaDB and the NATS of the tests: named by the environment, or private to the test run and
// started by the first test file that needs them.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "../wait-for.ts";

/** Set by global-setup.ts for the test files of its run. */
export const RUN_FOLDER_VARIABLE = "MUSTER_TEST_RUN_FOLDER";
export const RUN_PID_VARIABLE = "MUSTER_TEST_RUN_PID";

export type ServerKind = "mysql" | "nats";

// Long enough for a package manager to install the server first.
const START_TIMEOUT_MS = 420_000;

/** mysql://…, of a server on which tests create and drop databases. */
export async function testMysqlUrl(): Promise<string> {
  return process.env.MUSTER_TEST_MYSQL_URL || (await runServerUrl("mysql"));
}

/** nats://…, with JetStream on. */
export async function testNatsUrl(): Promise<string> {
  return process.env.MUSTER_TEST_NATS_URL || (await runServerUrl("nats"));
}

async function runServerUrl(kind: ServerKind): Promise<string> {
  const runFolder = process.env[RUN_FOLDER_VARIABLE];
  const runPid = process.env[RUN_PID_VARIABLE];
  if (runFolder === undefined || runPid === undefined) {
    throw new Error(`set MUSTER_TEST_${kind.toUpperCase()}_URL, or run under vitest.config.ts`);
  }
  await mkdir(runFolder, { recursive: true, mode: 0o700 });
  if (await isFirst(join(runFolder, `${kind}.requested`))) await startKeeper(kind, runFolder, runPid);
  return waitFor(
    async () => {
      const failure = await content(join(runFolder, `${kind}.error`));
      if (failure !== undefined) throw new Error(failure);
      return content(join(runFolder, `${kind}.url`));
    },
    { timeoutMs: START_TIMEOUT_MS, what: `the test run's ${kind} server` },
  );
}

/** Creating a folder is atomic, so exactly one of many test files succeeds. */
async function isFirst(path: string): Promise<boolean> {
  return mkdir(path).then(
    () => true,
    () => false,
  );
}

async function startKeeper(kind: ServerKind, runFolder: string, runPid: string): Promise<void> {
  const script = fileURLToPath(new URL("./server-keeper.ts", import.meta.url));
  const log = openSync(join(runFolder, `${kind}-keeper.log`), "a");
  const { NODE_OPTIONS: _, ...environment } = process.env;
  const keeper = spawn(process.execPath, [script, kind, runFolder, runPid], {
    detached: true,
    stdio: ["ignore", log, log],
    env: environment,
  });
  closeSync(log);
  keeper.unref();
  await writeFile(join(runFolder, `${kind}.pid`), String(keeper.pid));
}

async function content(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}
