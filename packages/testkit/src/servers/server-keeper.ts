// Keeps a server for a test run: `server-keeper.ts <mysql|nats> <run folder> <pid of the run>`. The keeper
// outlives the test file that started it and ends, with the server, when the run ends for any reason.
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startMysqlServer } from "./mysql-server.ts";
import { startNatsServer } from "./nats-server.ts";
import type { PrivateServer } from "./private-server.ts";

const RUN_POLL_MS = 250;

async function keep(kind: string, runFolder: string, runPid: number): Promise<void> {
  const folder = join(runFolder, kind);
  let server: PrivateServer | undefined;
  let isOver = false;
  process.on("SIGTERM", () => {
    isOver = true;
  });
  // An interrupt in a terminal reaches the whole process group; the keeper watches the pid of the run
  // instead.
  process.on("SIGINT", () => {});
  try {
    server = kind === "mysql" ? await startMysqlServer({ folder }) : await startNatsServer({ folder });
    await publish(runFolder, `${kind}.url`, server.url);
  } catch (error) {
    await publish(runFolder, `${kind}.error`, error instanceof Error ? error.message : String(error));
    return;
  }
  while (!isOver && isAlive(runPid)) await new Promise((resolve) => setTimeout(resolve, RUN_POLL_MS));
  // The data is not needed any more, so the server need not flush.
  await server.kill();
  await rm(folder, { recursive: true, force: true });
  await publish(runFolder, `${kind}.ended`, "");
  if (!isAlive(runPid)) await rm(runFolder, { recursive: true, force: true });
}

/** Writes atomically: readers find the whole file or no file. */
async function publish(folder: string, name: string, content: string): Promise<void> {
  await writeFile(join(folder, `${name}.part`), content);
  await rename(join(folder, `${name}.part`), join(folder, name));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const [kind = "", runFolder = "", runPid = ""] = process.argv.slice(2);
await keep(kind, runFolder, Number(runPid));
