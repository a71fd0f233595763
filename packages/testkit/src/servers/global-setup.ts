// Prepares vitest: a folder for the run's private servers, and the end of these servers after the run.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../wait-for.ts";
import { RUN_FOLDER_VARIABLE, RUN_PID_VARIABLE, type ServerKind } from "./test-servers.ts";

const KINDS: readonly ServerKind[] = ["mysql", "nats"];

let runFolder: string | undefined;

export function setup(): void {
  // Only a name: the first test that needs a server creates the folder.
  runFolder = join(tmpdir(), `muster-run-${randomBytes(6).toString("hex")}`);
  process.env[RUN_FOLDER_VARIABLE] = runFolder;
  process.env[RUN_PID_VARIABLE] = String(process.pid);
}

export async function teardown(): Promise<void> {
  if (runFolder === undefined) return;
  const folder = runFolder;
  await Promise.all(KINDS.map((kind) => endKeeper(folder, kind)));
  await rm(folder, { recursive: true, force: true });
}

async function endKeeper(folder: string, kind: ServerKind): Promise<void> {
  const pid = Number(await readFile(join(folder, `${kind}.pid`), "utf8").catch(() => "0"));
  if (pid === 0) return;
  signal(pid, "SIGTERM");
  // A keeper that no parent reaps stays a process, so the file that it writes counts too.
  await waitFor(() => existsSync(join(folder, `${kind}.ended`)) || !signal(pid, 0), {
    timeoutMs: 10_000,
    what: `the end of the ${kind} server`,
  });
}

/** False when the process does not exist. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
