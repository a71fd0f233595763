// Tests that what has ended is deleted, and nothing else.
import { createLogger } from "@muster/log";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SessionWorker } from "../../src/session-calls/session-worker.ts";
import { GRACE_MS } from "../../src/sessions/rotate-refresh-token.ts";
import { SESSION_IDLE_MS } from "../../src/sessions/session.ts";
import { SignInUnderTest } from "./sign-in-under-test.ts";

const DAY_MS = 86_400_000;

describe.each(ENGINES)("SessionWorker on %s", (engine) => {
  let identity: SignInUnderTest;
  let worker: SessionWorker;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine);
    await identity.stop();
    const { database, clock } = identity;
    worker = new SessionWorker({ database, clock, log: createLogger({ level: "silent" }) });
  });
  afterAll(() => identity.close());

  const count = async (table: string, column = "create_time_ms"): Promise<number> =>
    (await identity.database.reader(table).whereNotNull(column).select(column)).length;

  const pass = async (ms: number): Promise<void> => {
    identity.clock.setNowMs(identity.clock.nowMs() + ms);
    await worker.sweep();
  };

  test("seals, used tokens, sessions and devices each go at their time", async () => {
    const person = await identity.person();
    const first = await identity.login(person);
    const second = await identity.refresh(first.refreshToken);
    expect(await count("refresh_tokens", "successor_seal")).toBe(1);
    await pass(GRACE_MS - 1);
    expect(await count("refresh_tokens", "successor_seal")).toBe(1);
    await pass(1);
    expect(await count("refresh_tokens", "successor_seal")).toBe(0);
    expect(await count("refresh_tokens", "used_time_ms")).toBe(1);

    await pass(SESSION_IDLE_MS - GRACE_MS - 1);
    const third = await identity.refresh(second.refreshToken);
    await pass(2);
    // The first token was used a week ago, the second one a moment ago.
    expect(await count("refresh_tokens", "used_time_ms")).toBe(1);
    await identity.refresh(third.refreshToken);

    await pass(SESSION_IDLE_MS);
    expect(await count("sessions")).toBe(1);
    await pass(DAY_MS + 1);
    expect(await count("sessions")).toBe(0);
    expect(await count("refresh_tokens", "token_hash")).toBe(0);
    expect(await count("known_devices")).toBe(1);
    await pass(365 * DAY_MS);
    expect(await count("known_devices")).toBe(0);
  });
});
