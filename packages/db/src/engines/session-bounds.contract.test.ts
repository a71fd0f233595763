// Tests the bounds of sessions on a server: a frozen process, a hung server, and connections that the server
// closes.
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { systemClock } from "@muster/core";
import { freePort, openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Database,
  integer,
  isBlocked,
  type MysqlOptions,
  openMysql,
  Schema,
  type Transaction,
} from "../index.ts";
import { LockWaitTimeout } from "../port/database-errors.ts";
import { translateMysqlError } from "./mysql-errors.ts";

let place: TestDatabase;
let database: Database;

beforeAll(async () => {
  place = await openTestDatabase("mysql");
  database = place.database;
  await database.transaction((trx) =>
    new Schema("mysql", trx).createTable("counters", {
      columns: { id: integer(), value: integer() },
      primaryKey: ["id"],
    }),
  );
});
beforeEach(async () => {
  await database.transaction(async (trx) => {
    await trx("counters").delete();
    await trx("counters").insert([
      { id: 1, value: 0 },
      { id: 2, value: 0 },
    ]);
  });
});
afterAll(() => place.close());

test("a session is bounded so that a call has an answer within ten seconds", async () => {
  const read = async (db: Database["reader"] | Transaction): Promise<Record<string, number> | undefined> => {
    const [rows] = await db.raw<[Record<string, number>[]]>(
      "SELECT @@innodb_lock_wait_timeout AS lockWait, @@idle_transaction_timeout AS idleTransaction, " +
        "@@max_statement_time AS statement, @@wait_timeout AS idle, @@tx_read_only AS readOnly",
    );
    return rows?.[0];
  };
  const writer = { lockWait: 3, idleTransaction: 5, statement: 6, idle: 10, readOnly: 0 };
  expect(await database.transaction(read)).toEqual(writer);
  expect(await read(database.reader)).toMatchObject({ statement: 6, readOnly: 1 });
  expect(await database.snapshot(read)).toMatchObject({ idleTransaction: 60, statement: 6, readOnly: 1 });
  const long = { idleTransaction: 0, statement: 0, idle: 28_800 };
  expect(await database.transaction(read, { isLong: true })).toMatchObject(long);
  // The connection without bounds is not used again.
  for (let time = 0; time < 3; time += 1) expect(await database.transaction(read)).toEqual(writer);
});

describe.each([
  ["an idle transaction", { idleTransactionSeconds: 1, workMs: 0 }, []],
  // MySQL and TiDB have no such bound, so the bound on idle connections takes its place.
  [
    "an idle connection",
    { idleConnectionSeconds: 1, workMs: 0 },
    ["SET SESSION idle_transaction_timeout = 0"],
  ],
])("a process that freezes inside a transaction, with a bound on %s", (_, bounds, sessionStatements) => {
  test("stops nobody for longer than the bound, and doubles nothing when it continues", async () => {
    const frozen = await place.openAnother({ mysql: { bounds, sessionStatements } });
    const holding = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    let attempts = 0;
    const late = frozen.transaction(async (trx) => {
      attempts += 1;
      await bump(trx, 1);
      holding.resolve();
      await paused.promise;
      await bump(trx, 2);
    });
    await holding.promise;
    await database.transaction((trx) => bump(trx, 1));
    expect(await values(database)).toEqual([1, 0]);
    paused.resolve();
    await late;
    expect(attempts).toBe(2);
    expect(await values(database)).toEqual([2, 1]);
  });
});

test("a process that works between two statements keeps its transaction", async () => {
  const bounds = { idleTransactionSeconds: 3, idleConnectionSeconds: 3 };
  const busy = await place.openAnother({ mysql: { bounds } });
  let attempts = 0;
  await busy.transaction(async (trx) => {
    attempts += 1;
    await bump(trx, 1);
    await systemClock.sleep(4_500);
    await bump(trx, 1);
  });
  expect(attempts).toBe(1);
  expect(await values(database)).toEqual([2, 0]);
});

test("a connection that the server closed unnoticed does not fail the next transaction", async () => {
  const idle = await place.openAnother({ mysql: { bounds: { idleConnectionSeconds: 1 } } });
  await idle.transaction((trx) => bump(trx, 1));
  // A blocked process notices neither the end of the connection nor the time.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  await idle.transaction((trx) => bump(trx, 1));
  expect(await values(database)).toEqual([2, 0]);
});

test.each(["once", "brief"] as const)(
  "a caller may decline to wait for a lock again: %s",
  async (lockWait) => {
    const locked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const holder = database.transaction(async (trx) => {
      await bump(trx, 1);
      locked.resolve();
      await released.promise;
    });
    await locked.promise;
    const bounds = { lockWaitSeconds: lockWait === "once" ? 1 : 60 };
    const other = await place.openAnother({ mysql: { bounds } });
    let attempts = 0;
    const error: unknown = await other
      .transaction(
        (trx) => {
          attempts += 1;
          return bump(trx, 1);
        },
        { lockWait },
      )
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1000 });
    expect(isBlocked(error)).toBe(true);
    expect(attempts).toBe(1);
    released.resolve();
    await holder;
  },
);

describe("a server that hangs", () => {
  test("makes calls UNAVAILABLE in all pools, and serves again when it continues", async () => {
    const line = await Line.to(place.location as MysqlOptions);
    const bounds = { responseMs: 500 };
    const far = await openMysql({ ...place.location, url: line.url, acquireTimeoutMs: 1_000, bounds });
    await Promise.all([far.ping(), far.transaction((trx) => bump(trx, 1)), far.snapshot(values)]);
    const inside = Promise.withResolvers<void>();
    const begun = far.transaction(async (trx) => {
      await bump(trx, 1);
      inside.resolve();
      await waitFor(() => line.isHung);
      await bump(trx, 2);
    });
    await inside.promise;
    line.isHung = true;
    const calls = [
      begun,
      far.transaction((trx) => bump(trx, 2)),
      far.reader("counters").select("id"),
      far.snapshot(values),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { reason: "UNAVAILABLE", retryAfterMs: 1000 },
      });
    }
    // With new connections too.
    await expect(far.transaction((trx) => bump(trx, 2))).rejects.toMatchObject({ reason: "UNAVAILABLE" });
    line.isHung = false;
    await waitFor(
      () =>
        far
          .transaction((trx) => bump(trx, 2))
          .then(
            () => true,
            () => false,
          ),
      { timeoutMs: 10_000 },
    );
    expect((await values(far))[0]).toBe(1);
    await far.close();
    line.close();
  });

  test("and a slow statement are different: a slow statement is ended by the server", async () => {
    const brief = await place.openAnother({ mysql: { bounds: { statementSeconds: 1 } } });
    await expect(brief.reader.raw("SELECT SLEEP(5)")).rejects.toMatchObject({ reason: "UNAVAILABLE" });
    await brief.transaction((trx) => bump(trx, 1));
    await expect(brief.ping()).resolves.toBeUndefined();
  });
});

test("TiDB's exhausted lock retries are a conflict, and other unknown errors are not", () => {
  const tidb = (message: string) => Object.assign(new Error(message), { errno: 1105, sqlMessage: message });
  expect(translateMysqlError(tidb("pessimistic lock retry limit reached"))).toMatchObject({
    name: "TransactionConflict",
  });
  const other = tidb("something else");
  expect(translateMysqlError(other)).toBe(other);
  const noWait = Object.assign(new Error("NOWAIT"), { errno: 3572 });
  expect(translateMysqlError(noWait)).toBeInstanceOf(LockWaitTimeout);
});

/** A TCP relay in front of the server that can stop to pass bytes on, as a stopped server does. */
class Line {
  isHung = false;
  readonly url: string;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: Socket[] = [];

  static async to({ url }: MysqlOptions): Promise<Line> {
    const port = await freePort();
    return new Line(new URL(url), port);
  }

  constructor(server: URL, port: number) {
    const own = new URL(server);
    own.hostname = "127.0.0.1";
    own.port = String(port);
    this.url = own.href;
    this.#server = createServer((client) => {
      const upstream = connectTcp(Number(server.port), server.hostname);
      this.#sockets.push(client, upstream);
      client.on("data", (data) => this.isHung || upstream.write(data));
      upstream.on("data", (data) => this.isHung || client.write(data));
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
    this.#server.listen(port, "127.0.0.1");
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function bump(trx: Transaction, id: number): Promise<void> {
  await trx("counters").where("id", id).increment("value", 1);
}

async function values(source: Database | Transaction): Promise<number[]> {
  const queryable = "reader" in source ? source.reader : source;
  return queryable("counters").orderBy("id").pluck<number[]>("value");
}
