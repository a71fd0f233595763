// Tests that the effect, the saved response and the domain events of a write commit together or not at all.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { EmbeddedBus } from "@muster/bus/embedded";
import { randomIds, shardOf, systemClock } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type Claim, IdempotencyLedger } from "@muster/idempotency";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { CrashingDatabase, ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Outbox } from "../producer/outbox.ts";
import { hasName, insertName } from "../testing/names-store.ts";
import { Refusal, type Write, type WriteContext, writeTransaction } from "./write-transaction.ts";

const MIGRATIONS = new URL("../testing/migrations/", import.meta.url);
const TYPE = "muster.events.name.added.v1";
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const log = createLogger({ level: "silent" });

describe.each(ENGINES)("writes on %s", (engine) => {
  const crashing = new CrashingDatabase();
  const organizationId = randomIds.next(0);
  const bus = new EmbeddedBus({ clock: systemClock, log });
  let place: TestDatabase;
  let outbox: Outbox;
  let ledger: IdempotencyLedger;
  let wakes = 0;

  beforeAll(async () => {
    place = await openTestDatabase(engine, MIGRATIONS);
    const { database } = place;
    const common = { database, clock: systemClock, ids: randomIds };
    outbox = new Outbox({
      ...common,
      bus,
      log,
      service: "events",
      metrics: new Metrics(),
      instanceId: "writer",
    });
    outbox.onCommitted((isOwn) => {
      if (isOwn) wakes += 1;
    });
    ledger = new IdempotencyLedger({ ...common, key: new Uint8Array(32).fill(3) });
  });
  beforeEach(() => {
    wakes = 0;
    crashing.crashes = [];
  });
  afterAll(async () => {
    await outbox.stop();
    await bus.close();
    await place.close();
  });

  const contextOf = (claim: Claim): WriteContext => ({
    traceParent: TRACE,
    async saveResponse(trx, response) {
      const body = toBinary(StringValueSchema, create(StringValueSchema, response as object));
      await ledger.saveResponse(trx, claim, { ok: true, body, headers: {} });
    },
  });

  const claimOf = async (name: string): Promise<Claim> => {
    const begun = await ledger.begin("test", name, Buffer.from(name));
    if (begun.kind !== "run") throw new Error(`${name} is replayed`);
    return begun.claim;
  };

  const write = (claim: Claim, body: (trx: Transaction, scope: Write) => Promise<string>) =>
    writeTransaction(
      { database: crashing.wrap(place.database), outbox, log },
      contextOf(claim),
      async (trx, scope) => create(StringValueSchema, { value: await body(trx, scope) }),
    );

  const add = async (trx: Transaction, scope: Write, name: string): Promise<string> => {
    await insertName(trx, name);
    publish(scope, name);
    return `added ${name}`;
  };

  const publish = (scope: Write, name: string): void =>
    scope.publish({ organizationId, resourceId: organizationId, type: TYPE, data: Buffer.from(name) });

  const published = async (name: string): Promise<number> => {
    const envelopes = await outbox.read(shardOf(organizationId, organizationId), 0, 1_000);
    const own = envelopes.filter(({ data }) => Buffer.from(data).toString() === name);
    for (const envelope of own) expect(envelope).toMatchObject({ type: TYPE, traceParent: TRACE });
    return own.length;
  };

  const replayed = async (name: string): Promise<string | undefined> => {
    const begun = await ledger.begin("test", name, Buffer.from(name));
    return begun.kind === "replay" ? fromBinary(StringValueSchema, begun.response.body).value : undefined;
  };

  const stored = async (name: string) => [await hasName(place.database.reader, name), await published(name)];

  test("effect, response and domain events commit, then the relay wakes and the other work runs", async () => {
    const claim = await claimOf("whole");
    let seen: unknown[] | undefined;
    const response = await write(claim, async (trx, scope) => {
      scope.afterCommit(async () => {
        seen = await stored("whole");
      });
      return add(trx, scope, "whole");
    });
    expect([response.value, wakes]).toEqual(["added whole", 1]);
    expect(seen).toEqual([true, 1]);
    expect(await replayed("whole")).toBe("added whole");
  });

  test("a refusal commits what the body has written, saves no response and fails the call", async () => {
    const claim = await claimOf("refused");
    let isDone = false;
    const refused = write(claim, async (trx, scope) => {
      scope.afterCommit(() => {
        isDone = true;
      });
      await add(trx, scope, "refused");
      throw new Refusal(new AppError("PERMISSION_DENIED"));
    });
    await expect(refused).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
    expect([await stored("refused"), isDone, wakes]).toEqual([[true, 1], true, 1]);
    await expect(replayed("refused")).rejects.toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
  });

  test("a write without domain events wakes no relay", async () => {
    await write(await claimOf("quiet"), async (trx) => {
      await insertName(trx, "quiet");
      return "quiet";
    });
    expect([await stored("quiet"), wakes]).toEqual([[true, 0], 0]);
  });

  test("a crash before the commit leaves nothing, and the next call succeeds", async () => {
    const claim = await claimOf("early");
    let works = 0;
    crashing.crashes = ["before"];
    const crashed = write(claim, async (trx, scope) => {
      scope.afterCommit(() => {
        works += 1;
      });
      return add(trx, scope, "early");
    });
    await expect(crashed).rejects.toThrow("crashed before the commit");
    expect([await stored("early"), works, wakes]).toEqual([[false, 0], 0, 0]);
    await ledger.release(claim);
    expect((await write(await claimOf("early"), (trx, scope) => add(trx, scope, "early"))).value).toBe(
      "added early",
    );
    expect(await stored("early")).toEqual([true, 1]);
  });

  test("a crash after the commit: a repeated call gets the response, without a second effect", async () => {
    const claim = await claimOf("late");
    crashing.crashes = ["after"];
    const crashed = write(claim, (trx, scope) => add(trx, scope, "late"));
    await expect(crashed).rejects.toThrow("crashed after the commit");
    expect(await replayed("late")).toBe("added late");
    expect(await stored("late")).toEqual([true, 1]);
  });

  test("a body that runs again publishes and follows up once", async () => {
    let [runs, works] = [0, 0];
    crashing.crashes = ["conflict"];
    await write(await claimOf("again"), async (trx, scope) => {
      runs += 1;
      scope.afterCommit(() => {
        works += 1;
      });
      return add(trx, scope, "again");
    });
    expect([runs, works, wakes, await stored("again")]).toEqual([2, 1, 1, [true, 1]]);
  });

  test("of several that insert one row, one inserts it and the others find it", async () => {
    const claims = await Promise.all(["a", "b", "c", "d"].map((suffix) => claimOf(`same ${suffix}`)));
    const responses = await Promise.all(
      claims.map((claim) =>
        write(claim, async (trx, scope) => {
          const exists = await hasName(trx, "same");
          // Every body has looked before one inserts.
          if (engine === "mysql") await allLooked();
          return exists ? "found" : add(trx, scope, "same");
        }),
      ),
    );
    expect(responses.map(({ value }) => value).sort()).toEqual(["added same", "found", "found", "found"]);
    expect(await stored("same")).toEqual([true, 1]);
  });

  let looked = 0;
  let release: () => void = () => {};
  const four = new Promise<void>((done) => {
    release = done;
  });
  const allLooked = (): Promise<void> => {
    looked += 1;
    if (looked >= 4) release();
    return four;
  };

  test("a unique violation that stays is thrown", async () => {
    let runs = 0;
    const violated = write(await claimOf("twice"), async (trx, scope) => {
      runs += 1;
      await add(trx, scope, "twice");
      return add(trx, scope, "twice");
    });
    await expect(violated).rejects.toMatchObject({ name: "UniqueViolation" });
    expect([runs, await stored("twice")]).toEqual([3, [false, 0]]);
  });

  test("a write whose claim was lost has no effect", async () => {
    const claim = await claimOf("lost");
    await ledger.release(claim);
    await claimOf("lost");
    const lost = write(claim, (trx, scope) => add(trx, scope, "lost"));
    await expect(lost).rejects.toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
    expect([await stored("lost"), wakes]).toEqual([[false, 0], 0]);
  });

  test("work that fails after the commit fails neither the call nor the other work", async () => {
    let works = 0;
    const response = await write(await claimOf("failing"), async (trx, scope) => {
      scope.afterCommit(() => {
        throw new Error("thrown");
      });
      scope.afterCommit(() => Promise.reject(new Error("rejected")));
      scope.afterCommit(() => {
        works += 1;
      });
      return add(trx, scope, "failing");
    });
    expect([response.value, works, await stored("failing")]).toEqual(["added failing", 1, [true, 1]]);
  });
});
