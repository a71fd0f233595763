// Tests that failed logins lock what they should, on both engines, with attempts at once and after each other.
import { randomBytes } from "node:crypto";
import { randomIds, type UserId } from "@muster/core";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deleteExpiredCounters } from "../src/throttling/login-counter-store.ts";
import { type LoginAttempt, LoginThrottle } from "../src/throttling/login-throttle.ts";
import type { ThrottleRules } from "../src/throttling/throttle-rules.ts";

const MIGRATIONS = new URL("../migrations/", import.meta.url);
const MINUTE = 60_000;
const RULES: ThrottleRules = {
  pairFailuresMax: 5,
  pairLockMs: 15 * MINUTE,
  addressFailuresMax: 12,
  clientFailuresMax: 20,
  windowMs: 60 * MINUTE,
};

describe.each(ENGINES)("LoginThrottle on %s", (engine) => {
  let place: TestDatabase;
  let clock: FakeClock;
  let throttle: LoginThrottle;
  let attempt: LoginAttempt;
  let mails = 0;

  beforeAll(async () => {
    place = await openTestDatabase(engine, MIGRATIONS);
  });
  afterAll(() => place.close());
  beforeEach(() => {
    clock = new FakeClock();
    mails = 0;
    throttle = throttleWith(clock);
    attempt = { ...stranger(), client: client(), userId: randomIds.next<UserId>(0) };
  });

  function throttleWith(own: FakeClock): LoginThrottle {
    return new LoginThrottle({
      clock: own,
      database: place.database,
      key: new Uint8Array(32).fill(1),
      rules: RULES,
      mailsDue: () => {
        mails += 1;
      },
    });
  }

  const client = () => `client-${randomBytes(4).toString("hex")}`;
  const stranger = (): LoginAttempt => ({
    emailKey: `${randomBytes(6).toString("hex")}@example.com`,
    client: "203.0.113.1",
    deviceId: undefined,
    userId: undefined,
  });
  const lockedMs = (of: LoginAttempt) => throttle.lockedMs(place.database.reader, of);
  const accept = (of: LoginAttempt) => place.database.transaction((trx) => throttle.accept(trx, of));

  async function fail(of: LoginAttempt, times: number): Promise<number[]> {
    const before: number[] = [];
    for (let index = 0; index < times; index += 1) before.push(await throttle.recordFailure(of));
    return before;
  }

  test("five failures lock the pair for 15 minutes, with a falling wait, and no other client", async () => {
    expect(await fail(attempt, 4)).toEqual([0, 0, 0, 0]);
    expect(await lockedMs(attempt)).toBe(0);
    expect(await fail(attempt, 1)).toEqual([0]);
    expect(await lockedMs(attempt)).toBe(15 * MINUTE);
    expect(await lockedMs({ ...attempt, client: client() })).toBe(0);
    expect(await lockedMs({ ...stranger(), client: attempt.client })).toBe(0);
    await clock.advance(5 * MINUTE);
    expect(await lockedMs(attempt)).toBe(10 * MINUTE);
  });

  test("attempts while locked neither count nor lengthen the lock", async () => {
    await fail(attempt, 5);
    await clock.advance(5 * MINUTE);
    expect(await fail(attempt, 3)).toEqual([10 * MINUTE, 10 * MINUTE, 10 * MINUTE]);
    expect(await lockedMs(attempt)).toBe(10 * MINUTE);
    await clock.advance(10 * MINUTE);
    expect(await lockedMs(attempt)).toBe(0);
    // After the lock the pair counts from the start.
    expect(await fail(attempt, 4)).toEqual([0, 0, 0, 0]);
    expect(await lockedMs(attempt)).toBe(0);
  });

  test("an unknown address is locked like a known one", async () => {
    const unknown = { ...stranger(), client: client() };
    await fail(unknown, 5);
    await fail(attempt, 5);
    expect(await lockedMs(unknown)).toBe(await lockedMs(attempt));
  });

  test("of fifty failures at once five count, and the right password among them is refused", async () => {
    const ended = await Promise.all(Array.from({ length: 50 }, () => throttle.recordFailure(attempt)));
    expect(ended.filter((lockedBefore) => lockedBefore === 0)).toHaveLength(5);
    expect(await lockedMs(attempt)).toBe(15 * MINUTE);
    await expect(accept(attempt)).rejects.toMatchObject({
      reason: "LOGIN_LOCKED",
      row: { http: 429 },
      retryAfterMs: 15 * MINUTE,
    });
  });

  test("a success counts nowhere and ends the failures of its pair", async () => {
    await fail(attempt, 4);
    await accept(attempt);
    for (let index = 0; index < 30; index += 1) await accept(attempt);
    expect(await fail(attempt, 4)).toEqual([0, 0, 0, 0]);
    expect(await lockedMs(attempt)).toBe(0);
  });

  test("a success with an own account does not reset the limit of the client", async () => {
    const own = { ...stranger(), client: attempt.client };
    for (let index = 0; index < 20; index += 1) {
      await fail({ ...stranger(), client: attempt.client }, 1);
      if (index < 19) await accept(own);
    }
    expect(await lockedMs(own)).toBe(60 * MINUTE);
    expect(await lockedMs({ ...own, client: client() })).toBe(0);
    await clock.advance(60 * MINUTE);
    expect(await lockedMs(own)).toBe(0);
  });

  test("failures of many clients lock the address, except for a known device", async () => {
    for (let index = 0; index < 12; index += 1) await fail({ ...attempt, client: client() }, 1);
    expect(await lockedMs({ ...attempt, client: client() })).toBe(60 * MINUTE);
    const device = { ...attempt, client: client(), deviceId: randomIds.next(0) };
    expect(await lockedMs(device)).toBe(0);
    await accept(device);
    await fail(device, 5);
    expect(await lockedMs(device)).toBe(15 * MINUTE);
    expect(await lockedMs({ ...device, deviceId: randomIds.next(0) })).toBe(0);
  });

  test("an unlock frees the address and all its pairs, and no client with many failures", async () => {
    const other = { ...attempt, client: client() };
    await fail(attempt, 5);
    await fail(other, 5);
    await fail({ ...attempt, client: client() }, 2);
    expect(await lockedMs({ ...attempt, client: client() })).toBe(60 * MINUTE);
    await place.database.transaction((trx) => throttle.unlock(trx, attempt.emailKey));
    expect(await lockedMs(attempt)).toBe(0);
    expect(await lockedMs(other)).toBe(0);
    await fail(attempt, 5);
    expect(await lockedMs(attempt)).toBe(15 * MINUTE);
    expect(await lockedMs(other)).toBe(0);
  });

  test("an unlock works across replicas whose clocks are a minute apart", async () => {
    const ahead = throttleWith(new FakeClock(clock.nowMs() + MINUTE));
    for (let index = 0; index < 5; index += 1) await ahead.recordFailure(attempt);
    await place.database.transaction((trx) => throttle.unlock(trx, attempt.emailKey));
    expect(await lockedMs(attempt)).toBe(0);
    expect(await ahead.lockedMs(place.database.reader, attempt)).toBe(0);
  });

  test("the first lock makes an unlock mail due, the same for known and unknown addresses", async () => {
    await fail(attempt, 4);
    expect(mails).toBe(0);
    await fail(attempt, 3);
    expect(mails).toBe(1);
    await fail({ ...attempt, client: client() }, 5);
    expect(mails).toBe(1);
    await fail({ ...stranger(), client: client() }, 5);
    expect(mails).toBe(2);
  });

  test("counting nothing writes one row for a client at most", async () => {
    const rows = () => place.database.reader("login_counters").select("counter_key");
    const before = (await rows()).length;
    for (let index = 0; index < 3; index += 1) {
      const locked = { ...stranger(), client: attempt.client };
      expect(await throttle.recordFailure(locked, { isCounted: false })).toBe(0);
    }
    expect((await rows()).length - before).toBe(1);
    expect(await lockedMs(attempt)).toBe(0);
  });

  test("counters are deleted when nothing counts any more, and hold no address in clear", async () => {
    await place.database.transaction((trx) => trx("login_counters").delete());
    await fail(attempt, 5);
    const [row] = await place.database.reader("login_counters").select<{ counter_key: Buffer }[]>();
    expect(row?.counter_key).toHaveLength(32);
    const remove = () =>
      place.database.transaction((trx) => deleteExpiredCounters(trx, clock.nowMs(), 1_000));
    await clock.advance(60 * MINUTE - 1);
    await remove();
    expect((await place.database.reader("login_counters").select("counter_key")).length).toBeGreaterThan(0);
    await clock.advance(1);
    await remove();
    expect(await place.database.reader("login_counters").select("counter_key")).toEqual([]);
  });
});
