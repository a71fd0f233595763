// `make up`, `make down` and `make status`: the production topology, each part a process that outlives the
// command, and only what died is started again.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { freePort } from "../harness/process.ts";

const TOOL = resolve(import.meta.dirname, "../../tools/up.ts");
const PARTS = ["identity", "events", "segments", "gateway", "mariadb", "nats"];
const folder = mkdtempSync(join(tmpdir(), "muster-up-"));

function tool(command: string, httpPort: number): Promise<string> {
  return new Promise((done, fail) => {
    const environment = { ...process.env, MUSTER_UP_DIR: folder, MUSTER_UP_HTTP_PORT: String(httpPort) };
    execFile(process.execPath, [TOOL, command], { env: environment }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else fail(new Error(stderr));
    });
  });
}

function pids(status: string): Map<string, number | undefined> {
  return new Map(
    PARTS.map((part) => {
      const [, pid] = new RegExp(`^  ${part} +pid (\\d+) `, "m").exec(status) ?? [];
      return [part, pid === undefined ? undefined : Number(pid)];
    }),
  );
}

afterAll(async () => {
  await tool("down", 0);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

test("up, a part that dies, up again, down", { timeout: 180_000 }, async () => {
  const httpPort = await freePort();
  const first = pids(await tool("up", httpPort));
  expect([...first.values()].every((pid) => pid !== undefined)).toBe(true);
  const url = `http://127.0.0.1:${httpPort}`;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);

  const keyPath = join(folder, "demo-api-key");
  expect(statSync(keyPath).mode & 0o077).toBe(0);
  const key = readFileSync(keyPath, "utf8").trim();
  const record = (user: string): Promise<Response> =>
    fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ user_id: user, name: "product.viewed" }),
    });
  expect((await record("ada")).status).toBe(201);

  process.kill(first.get("events") ?? 0, "SIGKILL");
  await expect.poll(async () => pids(await tool("status", 0)).get("events")).toBeUndefined();
  const second = pids(await tool("up", 0));
  for (const part of PARTS) {
    if (part === "events") expect(second.get(part)).not.toBe(first.get(part));
    else expect(second.get(part), part).toBe(first.get(part));
  }
  // The gateway finds the new process as soon as it dials again.
  await expect.poll(async () => (await record("bob")).status, { timeout: 10_000 }).toBe(201);

  await tool("down", 0);
  expect([...pids(await tool("status", 0)).values()].every((pid) => pid === undefined)).toBe(true);
  expect(existsSync(join(folder, "mariadb"))).toBe(true);
});
