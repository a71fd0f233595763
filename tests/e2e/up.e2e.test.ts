// Tests `make up`, `make down` and `make status`: the production topology, each part a process that outlives
// the command. Only dead parts are started again.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const TOOL = join(ROOT, "tools/up.ts");
const PARTS = ["identity", "events", "segments", "gateway", "mariadb", "nats", "mail"];
const folder = mkdtempSync(join(tmpdir(), "muster-up-"));
const keyPath = join(folder, "demo-api-key");

interface Run {
  readonly code: number;
  readonly output: string;
}

function run(program: string, args: readonly string[], variables: Record<string, string>): Promise<Run> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MUSTER_"));
  const env = { ...Object.fromEntries(inherited), MUSTER_UP_DIR: folder, ...variables };
  return new Promise((done) => {
    const child = execFile(program, args, { env, cwd: tmpdir() }, (_, stdout, stderr) => {
      done({ code: child.exitCode ?? -1, output: stdout + stderr });
    });
  });
}

const tool = (command: string, httpPort?: number): Promise<Run> =>
  run(process.execPath, [TOOL, command], httpPort ? { MUSTER_UP_HTTP_PORT: String(httpPort) } : {});

/** The command of a checkout, run from a folder elsewhere. */
const muster = (...args: string[]): Promise<Run> => run(join(ROOT, "muster"), args, {});

function pids({ output }: Run): Map<string, number | undefined> {
  return new Map(
    PARTS.map((part) => {
      const [, pid] = new RegExp(`^  ${part} .*pid (\\d+) `, "m").exec(output) ?? [];
      return [part, pid === undefined ? undefined : Number(pid)];
    }),
  );
}

describe("the production topology by make up", { timeout: 180_000 }, () => {
  let httpPort: number;
  let first: Map<string, number | undefined>;
  const url = (): string => `http://127.0.0.1:${httpPort}`;
  const record = async (user: string): Promise<number> => {
    const response = await fetch(`${url()}/v1/events`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${readFileSync(keyPath, "utf8").trim()}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ user_id: user, name: "product.viewed" }),
    });
    return response.status;
  };

  beforeAll(async () => {
    httpPort = await freePort();
    const up = await tool("up", httpPort);
    expect(up.code, up.output).toBe(0);
    first = pids(up);
  }, 180_000);
  afterAll(async () => {
    await tool("down");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test("every part is ready, the key works and only its owner may read the files", async () => {
    expect([...first.values()].every((pid) => pid !== undefined)).toBe(true);
    expect((await fetch(`${url()}/readyz`)).status).toBe(200);
    for (const path of [keyPath, join(folder, "muster.env")]) expect(statSync(path).mode & 0o077).toBe(0);
    expect(await record("ada")).toBe(201);
    const status = await tool("status");
    expect(status.code, status.output).toBe(0);
    for (const part of PARTS) expect(status.output).toMatch(new RegExp(`^  ${part} +ready `, "m"));
  });

  test("commands of the checkout go to the installation without a flag", async () => {
    const file = join(folder, "visits.csv");
    writeFileSync(file, "user_id,name,timestamp\neve,product.viewed,2026-01-01T00:00:00Z\n");
    expect(await muster("import", file)).toMatchObject({
      code: 0,
      output: expect.stringContaining("1 stored, 0 already there, 0 bad"),
    });
    expect(await muster("verify-segments", "--profiles", "10")).toMatchObject({
      code: 0,
      output: expect.stringContaining(" 0 mismatches"),
    });
    const created = await muster("create-organization", "--name", "Second");
    expect(created.output).toMatch(/^api_key +mk_/m);
  });

  test("a frozen part is named, and the status fails", async () => {
    const segments = first.get("segments") ?? 0;
    process.kill(segments, "SIGSTOP");
    try {
      const status = await tool("status");
      expect(status.output).toMatch(/^ {2}segments +does not respond /m);
      expect(status).toMatchObject({ code: 1, output: expect.stringContaining("Not ready: segments") });
    } finally {
      process.kill(segments, "SIGCONT");
    }
  });

  test("only a part that died is started again, without another migration", async () => {
    process.kill(first.get("events") ?? 0, "SIGKILL");
    await expect
      .poll(async () => pids(await tool("status")).get("events"), { timeout: 30_000 })
      .toBeUndefined();
    expect((await tool("status")).code).toBe(1);
    const mark = statSync(join(folder, "schema.sha256")).mtimeMs;
    const up = await tool("up");
    expect(up.output).toContain("Muster is up: started events.");
    const second = pids(up);
    for (const part of PARTS) {
      if (part === "events") expect(second.get(part)).not.toBe(first.get(part));
      else expect(second.get(part), part).toBe(first.get(part));
    }
    expect(statSync(join(folder, "schema.sha256")).mtimeMs).toBe(mark);
    // The gateway finds the new process at the next dial.
    await expect.poll(() => record("bob"), { timeout: 30_000 }).toBe(201);
  });

  test("after down, a port that another process took is refused by name, and no key is sent to it", async () => {
    expect((await tool("down")).code).toBe(0);
    const status = await tool("status");
    expect([...pids(status).values()].every((pid) => pid === undefined)).toBe(true);
    expect(status.code).toBe(1);
    expect(existsSync(join(folder, "mariadb"))).toBe(true);
    expect(existsSync(join(folder, "muster.env"))).toBe(false);
    // As a version without mails left it.
    const installationPath = join(folder, "installation.json");
    const { mailPort, ...older } = JSON.parse(readFileSync(installationPath, "utf8"));
    writeFileSync(installationPath, JSON.stringify(older));
    const requests: string[] = [];
    const stranger = createServer((request, response) => {
      requests.push(request.url ?? "");
      response.end();
    });
    await new Promise<void>((done) => stranger.listen(httpPort, "127.0.0.1", done));
    try {
      const up = await tool("up");
      expect(up.code).toBe(1);
      expect(up.output).toContain(`Port ${httpPort} of gateway is taken by another process.`);
      expect(up.output).toContain("MUSTER_UP_HTTP_PORT=");
      expect(requests).toEqual([]);
      expect(JSON.parse(readFileSync(installationPath, "utf8")).mailPort).toEqual(expect.any(Number));
    } finally {
      await new Promise((done) => stranger.close(done));
    }
  });
});
