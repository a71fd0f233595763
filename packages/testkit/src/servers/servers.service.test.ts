import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { connect as connectNats } from "nats";
import { expect, test } from "vitest";
import { waitFor } from "../wait-for.ts";
import { startServers } from "./servers.ts";

test("private servers serve, survive kill -9 with their data, and leave nothing behind", async () => {
  const servers = await startServers({ isPrivate: true });
  const folder = servers.mysql?.plan.folder ?? "";
  try {
    await query(servers.mysqlUrl, "CREATE DATABASE kept");
    await query(servers.mysqlUrl, "CREATE TABLE kept.rows_of_it (id INT PRIMARY KEY) ENGINE=InnoDB");
    await query(servers.mysqlUrl, "INSERT INTO kept.rows_of_it VALUES (7)");
    const nats = await connectNats({ servers: servers.natsUrl });
    await (await nats.jetstreamManager()).streams.add({ name: "KEPT", subjects: ["kept.>"] });
    await nats.jetstream().publish("kept.one", "payload");
    await nats.close();

    await Promise.all([servers.mysql?.kill(), servers.nats?.kill()]);
    await expect(query(servers.mysqlUrl, "SELECT 1")).rejects.toThrow();
    await Promise.all([servers.mysql?.start(), servers.nats?.start()]);

    expect(await query(servers.mysqlUrl, "SELECT id FROM kept.rows_of_it")).toEqual([{ id: 7 }]);
    expect(await query(servers.mysqlUrl, "SELECT @@innodb_flush_log_at_trx_commit AS flush")).toEqual([
      { flush: 1 },
    ]);
    const again = await connectNats({ servers: servers.natsUrl });
    const stream = await (await again.jetstreamManager()).streams.info("KEPT");
    expect([stream.state.messages, stream.config.storage]).toEqual([1, "file"]);
    await again.close();
  } finally {
    await servers.stop();
  }
  expect(existsSync(folder)).toBe(false);
  await expect(query(servers.mysqlUrl, "SELECT 1")).rejects.toThrow();
}, 60_000);

test("a keeper ends its server when the test run is killed", async () => {
  const runFolder = await mkdtemp(join(tmpdir(), "muster-run-"));
  const run = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  const keeper = fileURLToPath(new URL("./server-keeper.ts", import.meta.url));
  spawn(process.execPath, [keeper, "nats", runFolder, String(run.pid)], { stdio: "ignore" });
  const url = await waitFor(() => readFile(join(runFolder, "nats.url"), "utf8").catch(() => undefined));
  expect(await isListening(url)).toBe(true);

  run.kill("SIGKILL");

  await waitFor(async () => !(await isListening(url)), { what: "the server's end" });
  await waitFor(() => !existsSync(runFolder), { what: "the folder's end" });
});

async function query(url: string, sql: string): Promise<unknown> {
  const connection = await createConnection({ uri: url });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
}

function isListening(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(Number(new URL(url).port), "127.0.0.1");
    socket.once("connect", () => socket.destroy(resolve(true) as undefined));
    socket.once("error", () => resolve(false));
  });
}
