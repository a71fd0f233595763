// Tests the families of refresh tokens on both engines: one live token, the grace period, and late reuse.
import { randomIds, type SessionId, type UserId } from "@muster/core";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deleteEndedSeals } from "../src/sessions/refresh-token-store.ts";
import {
  GRACE_MS,
  issueRefreshToken,
  type Rotation,
  rotateRefreshToken,
} from "../src/sessions/rotate-refresh-token.ts";
import { expireTimeOf, SESSION_IDLE_MS, SESSION_LIFETIME_MS, type Session } from "../src/sessions/session.ts";
import { endSessions, findSession, insertSession } from "../src/sessions/session-store.ts";

const MIGRATIONS = new URL("../migrations/", import.meta.url);

describe.each(ENGINES)("refresh tokens on %s", (engine) => {
  let place: TestDatabase;
  let clock: FakeClock;
  let sessionId: SessionId;
  let first: string;

  beforeAll(async () => {
    place = await openTestDatabase(engine, MIGRATIONS);
  });
  afterAll(() => place.close());
  beforeEach(async () => {
    clock = new FakeClock();
    ({ sessionId, token: first } = await open());
  });

  async function open(userId = randomIds.next<UserId>(0)): Promise<{ sessionId: SessionId; token: string }> {
    const nowMs = clock.nowMs();
    const session: Session = {
      id: randomIds.next<SessionId>(nowMs),
      userId,
      organizationId: undefined,
      createTimeMs: nowMs,
      lastUsedTimeMs: nowMs,
      authenticatedTimeMs: nowMs,
      authenticationMethods: ["password"],
      expireTimeMs: 0,
      endTimeMs: undefined,
      client: "a test",
      clientAddress: "203.0.113.1",
    };
    return place.database.transaction(async (trx) => {
      await insertSession(trx, { ...session, expireTimeMs: expireTimeOf(session) });
      return { sessionId: session.id, token: await issueRefreshToken(trx, session.id) };
    });
  }

  /** `aheadMs` is how far the clock of the replica is ahead of the database's. */
  function rotate(token: string, aheadMs = 0): Promise<Rotation> {
    const databaseNowMs = clock.nowMs();
    return place.database.transaction((trx) =>
      rotateRefreshToken(trx, token, { nowMs: databaseNowMs + aheadMs, databaseNowMs }),
    );
  }

  async function successor(token: string, aheadMs = 0): Promise<string> {
    const rotation = await rotate(token, aheadMs);
    if (rotation.kind !== "rotated") throw new Error(`the token is ${rotation.kind}`);
    return rotation.token;
  }

  async function liveTokens(): Promise<number> {
    const rows = await place.database
      .reader("refresh_tokens")
      .whereNull("used_time_ms")
      .whereIn("session_id", [Buffer.from(sessionId.replaceAll("-", ""), "hex")])
      .select("token_hash");
    return rows.length;
  }

  const end = (at = sessionId) =>
    place.database.transaction(async (trx) => {
      const session = await findSession(trx, at);
      if (session === undefined) throw new Error("no session");
      return endSessions(trx, { userId: session.userId, sessionId: at }, clock.nowMs());
    });

  test("each use replaces the token", async () => {
    const second = await successor(first);
    const third = await successor(second);
    expect(new Set([first, second, third]).size).toBe(3);
    expect(await liveTokens()).toBe(1);
  });

  test("of fifty refreshes at once with one token all return one live successor", async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => successor(first)));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(first);
    expect(await liveTokens()).toBe(1);
    await successor(tokens[0] ?? "");
  });

  test("R0, R1, R2 within five seconds, then R0 again: all later refreshes succeed", async () => {
    const second = await successor(first);
    await clock.advance(2_000);
    const third = await successor(second);
    await clock.advance(3_000);
    expect(await successor(first)).toBe(third);
    expect(await successor(second)).toBe(third);
    const fourth = await successor(third);
    await clock.advance(60_000);
    await successor(fourth);
    expect(await liveTokens()).toBe(1);
  });

  test("the grace period ends after ten seconds, for the family of the token only", async () => {
    const other = await open();
    const second = await successor(first);
    await clock.advance(GRACE_MS - 1);
    expect(await successor(first)).toBe(second);
    await clock.advance(1);
    expect(await rotate(first)).toMatchObject({ kind: "reused", session: { id: sessionId } });
    await successor(other.token);
  });

  test("a token is followed through eight successors and no further, which ends nothing", async () => {
    const tokens = [first];
    for (let link = 0; link < 9; link += 1) tokens.push(await successor(tokens.at(-1) ?? ""));
    expect(await successor(tokens[1] ?? "")).toBe(tokens[9]);
    expect(await rotate(first)).toEqual({ kind: "unknown" });
    await successor(tokens[9] ?? "");
  });

  test("clocks of replicas a minute apart neither end a session nor open a grace period", async () => {
    const second = await successor(first, -60_000);
    expect(await successor(first, 60_000)).toBe(second);
    const third = await successor(second, 60_000);
    expect(await successor(second, -60_000)).toBe(third);
    expect(await successor(first, -60_000)).toBe(third);
    await clock.advance(GRACE_MS);
    expect((await rotate(second, -60_000)).kind).toBe("reused");
  });

  test("an ended session refreshes no more, with the newest token or an older one", async () => {
    const second = await successor(first);
    expect(await end()).toEqual([sessionId]);
    expect(await rotate(second)).toEqual({ kind: "ended" });
    expect(await rotate(first)).toEqual({ kind: "ended" });
    expect(await end()).toEqual([]);
  });

  test("a session ends 7 days after its last use, and 30 days after its start at the latest", async () => {
    await clock.advance(SESSION_IDLE_MS - 1);
    let token = await successor(first);
    await clock.advance(SESSION_IDLE_MS);
    expect(await rotate(token)).toEqual({ kind: "ended" });

    ({ token, sessionId } = await open());
    const startMs = clock.nowMs();
    for (let week = 0; week < 4; week += 1) {
      await clock.advance(SESSION_IDLE_MS - 1);
      token = await successor(token);
    }
    expect((await findSession(place.database.reader, sessionId))?.expireTimeMs).toBe(
      startMs + SESSION_LIFETIME_MS,
    );
    await clock.advance(startMs + SESSION_LIFETIME_MS - clock.nowMs());
    expect(await rotate(token)).toEqual({ kind: "ended" });
  });

  test("garbled and foreign tokens are unknown", async () => {
    const garbled = ["", "mr_", `${first}A`, first.slice(0, -1), ` ${first}`, first.toUpperCase()];
    for (const token of [...garbled, `mr_${"A".repeat(43)}`]) {
      expect(await rotate(token), token).toEqual({ kind: "unknown" });
    }
    await successor(first);
  });

  test("no token and no successor is stored in clear, and seals are deleted after the grace period", async () => {
    const second = await successor(first);
    const seals = () =>
      place.database.reader("refresh_tokens").whereNotNull("successor_seal").select("successor_seal");
    const rows: unknown[] = await place.database.reader("refresh_tokens").select();
    const stored = Buffer.concat(
      rows.flatMap((row) => Object.values(row as object).filter((value) => Buffer.isBuffer(value))),
    );
    for (const token of [first, second]) expect(stored.includes(token)).toBe(false);
    expect((await seals()).length).toBeGreaterThan(0);
    const clean = () => place.database.transaction((trx) => deleteEndedSeals(trx, clock.nowMs(), 1_000));
    await clock.advance(GRACE_MS);
    await clean();
    expect((await rotate(first)).kind).toBe("reused");
    const own = await place.database
      .reader("refresh_tokens")
      .whereNotNull("successor_seal")
      .andWhere("session_id", Buffer.from(sessionId.replaceAll("-", ""), "hex"))
      .select("token_hash");
    expect(own).toEqual([]);
  });
});
