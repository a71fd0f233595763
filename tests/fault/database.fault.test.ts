// Lets the database hang, and fills its disk, in both modes: calls fail with 503 in time, and every acknowledged
// event is stored once.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@muster/core";
import { type PrivateServer, startMysqlServer, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

/** The bound that the services promise, and what this machine may add. */
const RESPONSE_MS_MAX = 10_000 + 5_000;
/** Free space that is left for the small writes before the disk is full. */
const LEFT_BYTES = 2 * 1024 * 1024;

/** A folder, on a file system of its own if it has a size. */
class Place {
  #folder = "";
  #isMounted = false;

  async open(sizeMiB: number | undefined): Promise<string> {
    this.#folder = await mkdtemp(join(tmpdir(), "mdb-"));
    if (sizeMiB !== undefined) {
      const options = ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", this.#folder];
      this.#isMounted = spawnSync("mount", options).status === 0;
      if (!this.#isMounted) throw new Error("the file system cannot be mounted");
    }
    return this.#folder;
  }

  async fill(leftBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    await writeFile(join(this.#folder, "filler"), Buffer.alloc(Math.max(0, bavail * bsize - leftBytes)));
  }

  free(): Promise<void> {
    return rm(join(this.#folder, "filler"));
  }

  async close(): Promise<void> {
    if (this.#isMounted) spawnSync("umount", [this.#folder]);
    if (existsSync(this.#folder)) await rm(this.#folder, { recursive: true, force: true });
  }
}

describe("a database server that hangs", () => {
  const place = new Place();
  let server: PrivateServer;
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    server = await startMysqlServer({ folder: await place.open(undefined), bufferPoolMiB: 16 });
    installation = await startInstallation("production", { MUSTER_DATABASE_URL: server.url });
    rest = new RestClient(installation);
  }, 240_000);
  afterAll(async () => {
    process.kill(server.pid ?? 0, "SIGCONT");
    await installation?.stop();
    await server?.stop();
    await place.close();
  });

  test("makes reads and writes fail with 503 in time", { timeout: 120_000 }, async () => {
    const calls = (): Promise<RestResponse>[] => [
      ...Array.from({ length: 10 }, (_, index) => rest.post("/v1/events", event(`hung-${index}`))),
      ...Array.from({ length: 10 }, () => rest.get("/v1/profiles")),
      ...Array.from({ length: 10 }, () => rest.get("/v1/segments")),
    ];
    const isWorking = async (): Promise<boolean> =>
      (await Promise.all(calls())).every(({ status }) => status < 300);
    await waitFor(isWorking, { timeoutMs: 60_000 });
    process.kill(server.pid ?? 0, "SIGSTOP");
    for (let round = 0; round < 2; round += 1) {
      const startMs = systemClock.monotonicMs();
      const responses = await Promise.all(calls());
      expect(systemClock.monotonicMs() - startMs).toBeLessThan(RESPONSE_MS_MAX);
      for (const response of responses) {
        expect(response.status, response.text).toBe(503);
        expect(response.headers.get("retry-after")).not.toBeNull();
      }
    }
    process.kill(server.pid ?? 0, "SIGCONT");
    await waitFor(async () => (await rest.post("/v1/events", event("after"))).status === 201, {
      timeoutMs: 20_000,
    });
  });
});

describe.runIf(canMount())("a full disk", () => {
  test.each(["embedded", "production"] as const)(
    "makes writes fail with 503 in %s mode, and loses nothing that was acknowledged",
    { timeout: 300_000 },
    async (mode) => {
      const place = new Place();
      const folder = await place.open(mode === "embedded" ? 48 : 512);
      const server =
        mode === "production" ? await startMysqlServer({ folder, bufferPoolMiB: 16 }) : undefined;
      const extra: Record<string, string> =
        server === undefined ? { MUSTER_DATA_DIR: folder } : { MUSTER_DATABASE_URL: server.url };
      const installation = await startInstallation(mode, extra);
      try {
        const rest = new RestClient(installation);
        const acknowledged: string[] = [];
        const writeUntil = async (isEnd: (response: RestResponse) => boolean): Promise<RestResponse> => {
          for (let count = 0; ; count += 1) {
            const batch = Array.from({ length: 20 }, (_, index) => event(`${mode}-${count}-${index}`));
            const response = await rest.post("/v1/events:batch", { events: batch });
            if (response.status === 200) acknowledged.push(...batch.map(({ event_id }) => event_id));
            if (isEnd(response)) return response;
          }
        };
        await writeUntil(() => true);
        await place.fill(LEFT_BYTES);
        const refused = await writeUntil(({ status }) => status !== 200);
        expect(refused.status, refused.text).toBe(503);
        expect(refused.body.reason).toBe("UNAVAILABLE");
        expect(refused.headers.get("retry-after")).not.toBeNull();
        if (server === undefined) expect((await rest.get("/v1/profiles")).status).toBe(200);

        await place.free();
        const isWritable = async (): Promise<boolean> => {
          // MariaDB may abort when a rollback finds no space; then a supervisor starts it again.
          if (server !== undefined && server.pid === undefined) await server.start();
          return (await rest.post("/v1/events", event("after"))).status === 201;
        };
        await waitFor(isWritable, { timeoutMs: 90_000 });
        acknowledged.push("after");
        const [{ id }] = (await rest.get("/v1/profiles?user_id=ada")).body.profiles;
        const stored = await rest.all(`/v1/profiles/${id}/events`, "events");
        const ids: string[] = stored.map(({ event_id }) => event_id);
        expect(ids.length).toBe(new Set(ids).size);
        expect(acknowledged.filter((one) => !ids.includes(one))).toEqual([]);
        // The outcome of a commit without a response is unknown, but a batch is stored whole or not at all.
        const batches = Map.groupBy(ids, (one) => one.replace(/-\d+$/, ""));
        batches.delete("after");
        expect([...new Set([...batches.values()].map(({ length }) => length))]).toEqual([20]);
      } finally {
        await installation.stop();
        await server?.stop();
        await place.close();
      }
    },
  );
});

function event(id: string) {
  return { user_id: "ada", name: "counted", event_id: id, properties: { text: "x".repeat(4_000) } };
}

function canMount(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0;
}
