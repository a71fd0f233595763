// A process that keeps one server for a test run: `server-keeper.ts <mysql|nats> <run folder> <pid of the run>`.
// It outlives the test file that asked first, and ends, with the server, when the run does, however that ends.
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
  // Interrupting the run in a terminal interrupts its whole group; the run's end is told by its pid.
  process.on("SIGINT", () => {});
  try {
    server = kind === "mysql" ? await startMysqlServer({ folder }) : await startNatsServer({ folder });
    await publish(runFolder, `${kind}.url`, server.url);
  } catch (error) {
    await publish(runFolder, `${kind}.error`, error instanceof Error ? error.message : String(error));
    return;
  }
  while (!isOver && isAlive(runPid)) await new Promise((resolve) => setTimeout(resolve, RUN_POLL_MS));
  // Nobody needs the data any more, so it need not be flushed.
  await server.kill();
  await rm(folder, { recursive: true, force: true });
  await publish(runFolder, `${kind}.ended`, "");
  if (!isAlive(runPid)) await rm(runFolder, { recursive: true, force: true });
}

/** A reader sees the whole file or none. */
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
