import { randomBytes } from "node:crypto";
import { randomIds } from "@muster/core";
import { bytes, type Database, insertRows, Schema } from "@muster/db";
import { createLogger } from "@muster/log";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { IdempotencyLedger, KEY_LIFETIME_MS, LEASE_MS } from "./idempotency-ledger.ts";
import { createIdempotencySubjectsTable, createIdempotencyTable } from "./idempotency-table.ts";
import { IdempotencyWorker } from "./idempotency-worker.ts";
import { type BeginResult, type Claim, type KeptResponse, StaleClaim } from "./ledger.ts";
import { ResponseEraser } from "./response-eraser.ts";
import { RESPONSE_BYTES_MAX } from "./response-seal.ts";

const KEY = new Uint8Array(32).fill(3);
const SCOPE = "0190a5b4-0000-7000-8000-000000000001/muster.identity.v1.ApiKeyService/CreateApiKey";
const BODY = Buffer.from("the canonical body");

function response(text: string, ok = true): KeptResponse {
  return { ok, body: Buffer.from(text), headers: { "muster-http-status": "201" } };
}

function claimOf(begun: BeginResult): Claim {
  if (begun.kind !== "run") throw new Error("expected to run");
  return begun.claim;
}

function bodyOf(begun: BeginResult): string {
  if (begun.kind !== "replay") throw new Error("expected a replay");
  return Buffer.from(begun.response.body).toString("utf8");
}

describe.each(ENGINES)("IdempotencyLedger on %s", (engine) => {
  let opened: TestDatabase;
  let other: Database;
  let clock: FakeClock;
  let ledger: IdempotencyLedger;
  /** The ledger of another replica of the same service. */
  let replica: IdempotencyLedger;
  let key: string;

  beforeAll(async () => {
    opened = await openTestDatabase(engine);
    await opened.database.transaction(async (trx) => {
      const schema = new Schema(engine, trx);
      await createIdempotencyTable(schema);
      await createIdempotencySubjectsTable(schema);
      await schema.createTable("effects", { columns: { name: bytes(64) }, primaryKey: ["name"] });
    });
    other = await opened.openAnother();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    clock = new FakeClock();
    ledger = new IdempotencyLedger({ database: opened.database, clock, ids: randomIds, key: KEY });
    replica = new IdempotencyLedger({ database: other, clock, ids: randomIds, key: KEY });
    key = randomBytes(8).toString("hex");
  });

  async function effect(claim: Claim, name: string, text: string): Promise<void> {
    await opened.database.transaction(async (trx) => {
      await trx("effects").insert({ name: Buffer.from(name) });
      await ledger.saveResponse(trx, claim, response(text));
    });
  }

  async function effects(): Promise<string[]> {
    const rows = await opened.database.reader("effects").select<{ name: Buffer }[]>("name");
    return rows.map(({ name }) => name.toString()).filter((name) => name.startsWith(key));
  }

  test("the first request runs; later ones receive its response, status and metadata", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    await effect(claim, key, "made");

    const again = await replica.begin(SCOPE, key, BODY);
    expect(again).toMatchObject({
      kind: "replay",
      response: { ok: true, headers: { "muster-http-status": "201" } },
    });
    expect(bodyOf(again)).toBe("made");
  });

  test("a response without an effect is kept as well", async () => {
    await ledger.keep(claimOf(await ledger.begin(SCOPE, key, BODY)), response("refused", false));
    expect(await ledger.begin(SCOPE, key, BODY)).toMatchObject({ kind: "replay", response: { ok: false } });
  });

  test("another body is rejected, while the first request runs and after", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    const otherBody = Buffer.from("another body");
    const refused = { reason: "IDEMPOTENCY_KEY_REUSED", row: { http: 422 } };
    await expect(ledger.begin(SCOPE, key, otherBody)).rejects.toMatchObject(refused);
    await ledger.keep(claim, response("done"));
    await expect(ledger.begin(SCOPE, key, otherBody)).rejects.toMatchObject(refused);
  });

  test("while a request runs, the same request is rejected with a retry time", async () => {
    await ledger.begin(SCOPE, key, BODY);
    await expect(replica.begin(SCOPE, key, BODY)).rejects.toMatchObject({
      reason: "IDEMPOTENCY_IN_PROGRESS",
      row: { http: 409 },
      retryAfterMs: 1_000,
    });
  });

  test("keys and scopes are compared byte for byte", async () => {
    const spellings = ["Key", "key", "key ", "kéy", "013", "13"].map((text) => `${key}${text}`);
    for (const spelling of spellings) {
      expect((await ledger.begin(SCOPE, spelling, BODY)).kind, spelling).toBe("run");
    }
    expect((await ledger.begin(`${SCOPE}2`, `${key}Key`, BODY)).kind).toBe("run");
  });

  test("of fifty concurrent requests exactly one runs", async () => {
    const begun = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => (index % 2 ? ledger : replica).begin(SCOPE, key, BODY)),
    );
    expect(begun.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    for (const one of begun) {
      if (one.status === "rejected") expect(one.reason.reason).toBe("IDEMPOTENCY_IN_PROGRESS");
    }
  });

  test("a released key runs again, with any body", async () => {
    await ledger.release(claimOf(await ledger.begin(SCOPE, key, BODY)));
    expect((await ledger.begin(SCOPE, key, Buffer.from("another"))).kind).toBe("run");
  });

  test("releasing a key with a response keeps the response", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    await ledger.keep(claim, response("done"));
    await ledger.release(claim);
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY))).toBe("done");
  });

  test("after a crash the key is free when the lease ends, not before", async () => {
    await ledger.begin(SCOPE, key, BODY);
    await clock.advance(LEASE_MS - 1);
    await expect(replica.begin(SCOPE, key, BODY)).rejects.toMatchObject({
      reason: "IDEMPOTENCY_IN_PROGRESS",
    });
    await clock.advance(1);
    expect((await replica.begin(SCOPE, key, BODY)).kind).toBe("run");
  });

  test("of many requests that take over an expired claim, one succeeds", async () => {
    await ledger.begin(SCOPE, key, BODY);
    await clock.advance(LEASE_MS);
    const begun = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? ledger : replica).begin(SCOPE, key, BODY)),
    );
    expect(begun.filter((one) => one.status === "fulfilled")).toHaveLength(1);
  });

  test("a request that lost its claim has no effect; the successor's response stays", async () => {
    const stale = claimOf(await ledger.begin(SCOPE, key, BODY));
    await clock.advance(LEASE_MS);
    const successor = claimOf(await replica.begin(SCOPE, key, BODY));

    await expect(effect(stale, `${key}-stale`, "stale")).rejects.toBeInstanceOf(StaleClaim);
    await expect(ledger.keep(stale, response("stale"))).rejects.toBeInstanceOf(StaleClaim);
    await ledger.release(stale);
    expect(await effects()).toEqual([]);

    await effect(successor, `${key}-successor`, "successor");
    await expect(effect(stale, `${key}-stale`, "stale")).rejects.toBeInstanceOf(StaleClaim);
    expect(await effects()).toEqual([`${key}-successor`]);
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY))).toBe("successor");
  });

  test("a claim past its lease that no request took over may still save its response", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    await clock.advance(LEASE_MS * 2);
    await effect(claim, key, "late");
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY))).toBe("late");
  });

  test("of saving a response and taking over the claim at the same time, exactly one succeeds", async () => {
    for (let round = 0; round < 10; round += 1) {
      const name = `${key}-${round}`;
      const claim = claimOf(await ledger.begin(SCOPE, name, BODY));
      await clock.advance(LEASE_MS);
      const [saved, taken] = await Promise.allSettled([
        effect(claim, name, "first"),
        replica.begin(SCOPE, name, BODY),
      ]);
      const ran = taken.status === "fulfilled" && taken.value.kind === "run";
      expect(saved.status === "fulfilled", `round ${round}`).toBe(!ran);
    }
  });

  test("a rolled-back effect keeps no response", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    const failing = opened.database.transaction(async (trx) => {
      await trx("effects").insert({ name: Buffer.from(key) });
      await ledger.saveResponse(trx, claim, response("never"));
      throw new Error("later statement failed");
    });
    await expect(failing).rejects.toThrow("later statement");
    expect(await effects()).toEqual([]);
    await expect(ledger.begin(SCOPE, key, BODY)).rejects.toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
    await effect(claim, key, "second try");
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY))).toBe("second try");
  });

  test("a key stands for its request for a day, then for the next request", async () => {
    await ledger.keep(claimOf(await ledger.begin(SCOPE, key, BODY)), response("old"));
    await clock.advance(KEY_LIFETIME_MS - 1);
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY))).toBe("old");
    await clock.advance(1);
    const claim = claimOf(await ledger.begin(SCOPE, key, Buffer.from("another body")));
    await ledger.keep(claim, response("new"));
    expect(bodyOf(await ledger.begin(SCOPE, key, Buffer.from("another body")))).toBe("new");
  });

  test("a key with a shorter lifetime is free for the next request after this time", async () => {
    await ledger.keep(claimOf(await ledger.begin(SCOPE, key, BODY, 5_000)), response("tokens"));
    await clock.advance(4_999);
    expect(bodyOf(await ledger.begin(SCOPE, key, BODY, 5_000))).toBe("tokens");
    await clock.advance(1);
    expect((await ledger.begin(SCOPE, key, BODY, 5_000)).kind).toBe("run");
  });

  test("a digest is keyed: the same in every replica, another in every installation", () => {
    const digest = ledger.digest("ada@example.com");
    expect(replica.digest("ada@example.com")).toBe(digest);
    expect(digest).not.toContain("ada");
    const { database } = opened;
    const foreign = new IdempotencyLedger({
      database,
      clock,
      ids: randomIds,
      key: new Uint8Array(32).fill(4),
    });
    expect(foreign.digest("ada@example.com")).not.toBe(digest);
  });

  test("the largest response is kept, and no response is readable in the table", async () => {
    const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
    const body = Buffer.alloc(RESPONSE_BYTES_MAX - 1024, "mk_secret ");
    await ledger.keep(claim, { ok: true, body, headers: {} });
    const again = await ledger.begin(SCOPE, key, BODY);
    expect(again.kind === "replay" && body.equals(again.response.body)).toBe(true);

    const rows = await opened.database
      .reader("idempotency_keys")
      .select<{ response: Buffer | null }[]>("response");
    expect(rows.some((row) => (row.response?.length ?? 0) > body.length)).toBe(true);
    for (const row of rows) expect(row.response?.includes("mk_secret") ?? false).toBe(false);
  });

  test("the key itself is stored only as a digest", async () => {
    await ledger.keep(claimOf(await ledger.begin(SCOPE, `ada@example.com ${key}`, BODY)), response("done"));
    for (const row of await opened.database.reader("idempotency_keys").select()) {
      expect(JSON.stringify(Object.values(row).map(String))).not.toContain("ada@example.com");
    }
  });

  describe("responses about people", () => {
    const [ada, bob] = [randomIds.next(1), randomIds.next(2)];
    const eraser = new ResponseEraser(KEY);
    const erase = (subjects: string[], limit = 100) =>
      opened.database.transaction((trx) =>
        eraser.erase(trx, subjects, limit, (method, { body }) => {
          methods.add(method);
          return { ok: false, body: Buffer.from(`without: ${Buffer.from(body)}`), headers: {} };
        }),
      );
    const methods = new Set<string>();
    const keep = async (name: string, subjects: readonly string[]): Promise<void> => {
      const claim = claimOf(await ledger.begin(SCOPE, `${key}${name}`, BODY));
      await ledger.keep(claim, { ...response(name), subjects });
    };
    const kept = async (name: string): Promise<string> =>
      bodyOf(await ledger.begin(SCOPE, `${key}${name}`, BODY));

    test("are rewritten if they are about the profile, and the key stays used", async () => {
      await keep("both", [bob, ada, ada]);
      await keep("ada", [ada]);
      await keep("bob", [bob]);
      await keep("nobody", []);
      expect(await erase([ada])).toEqual({ found: 2, rewritten: 2 });
      expect(await erase([ada])).toEqual({ found: 0, rewritten: 0 });
      expect([...methods]).toEqual(["muster.identity.v1.ApiKeyService/CreateApiKey"]);
      expect(await kept("both")).toBe("without: both");
      expect(await erase([ada, bob])).toEqual({ found: 2, rewritten: 2 });
      expect(await kept("bob")).toBe("without: bob");
      expect(await kept("ada")).toBe("without: ada");
      expect(await kept("nobody")).toBe("nobody");
      await expect(ledger.begin(SCOPE, `${key}ada`, Buffer.from("another"))).rejects.toMatchObject({
        reason: "IDEMPOTENCY_KEY_REUSED",
      });
    });

    test("in steps", async () => {
      const carol = randomIds.next(3);
      for (const name of ["1", "2", "3"]) await keep(name, [carol]);
      expect(await erase([carol], 2)).toEqual({ found: 2, rewritten: 2 });
      expect(await erase([carol], 2)).toEqual({ found: 1, rewritten: 1 });
    });

    test("a key used again since keeps the newer response; an expired one leaves nothing", async () => {
      const dora = randomIds.next(4);
      await keep("again", [dora]);
      await clock.advance(KEY_LIFETIME_MS);
      await keep("again", [bob]);
      expect(await erase([dora])).toEqual({ found: 1, rewritten: 0 });
      expect(await kept("again")).toBe("again");
      await clock.advance(KEY_LIFETIME_MS);
      const log = createLogger({ level: "silent" });
      await new IdempotencyWorker({ database: opened.database, clock, log }).sweep();
      expect(await opened.database.reader("idempotency_subjects").select()).toEqual([]);
    });

    test("a rolled-back effect leaves no subject", async () => {
      const eve = randomIds.next(5);
      const claim = claimOf(await ledger.begin(SCOPE, key, BODY));
      const failing = opened.database.transaction(async (trx) => {
        await ledger.saveResponse(trx, claim, { ...response("never"), subjects: [eve] });
        throw new Error("later statement failed");
      });
      await expect(failing).rejects.toThrow("later statement");
      expect(await erase([eve])).toEqual({ found: 0, rewritten: 0 });
    });
  });

  test("the worker deletes only expired rows, over several chunks", async () => {
    const sweeper = new IdempotencyWorker({
      database: opened.database,
      clock,
      log: createLogger({ level: "silent" }),
    });
    await opened.database.transaction((trx) => trx("idempotency_keys").delete());
    const expireTimeMs = clock.nowMs() + KEY_LIFETIME_MS;
    const rows = Array.from({ length: 501 }, (_, index) => [
      Buffer.from(SCOPE),
      Buffer.from(`${key}-${index}`),
      randomBytes(16),
      randomBytes(32),
      clock.nowMs(),
      expireTimeMs,
      null,
    ]);
    const columns = ["scope", "idempotency_key", "token", "fingerprint"];
    columns.push("lease_until_ms", "expire_time_ms", "response");
    await opened.database.transaction((trx) =>
      insertRows(trx, "idempotency_keys", columns, rows, "fail", ["scope", "idempotency_key"]),
    );
    await clock.advance(1);
    await ledger.keep(claimOf(await ledger.begin(SCOPE, `${key}-young`, BODY)), response("young"));

    await clock.advance(KEY_LIFETIME_MS - 2);
    expect(await sweeper.sweep()).toBe(0);
    await clock.advance(1);
    expect(await sweeper.sweep()).toBe(501);
    expect(bodyOf(await ledger.begin(SCOPE, `${key}-young`, BODY))).toBe("young");
  });

  test("the worker runs every ten minutes until it is stopped", async () => {
    await ledger.keep(claimOf(await ledger.begin(SCOPE, key, BODY)), response("x"));
    const sweeper = new IdempotencyWorker({
      database: opened.database,
      clock,
      log: createLogger({ level: "silent" }),
    });
    await sweeper.start();
    await clock.advance(KEY_LIFETIME_MS - 600_000);
    const rows = () => opened.database.reader("idempotency_keys").select("token");
    expect((await rows()).length).toBeGreaterThan(0);
    // The worker's queries are real, so its last sweep may still run when the clock advances.
    await waitFor(async () => {
      await clock.advance(600_000);
      return (await rows()).length === 0;
    });
    await sweeper.stop();
    expect(clock.sleeperCount).toBe(0);
  });
});
