// Tests a process that dies before each statement of a login: the next login succeeds, and everything agrees.
import { ENGINES, WatchedDatabase } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { type Person, SignInUnderTest } from "./sign-in-under-test.ts";

/** The lease of an Idempotency-Key whose process died. */
const LEASE_MS = 30_000;
const STATEMENTS_MIN = 15;

describe.each(ENGINES)("a crash during a login on %s", (engine) => {
  const watched = new WatchedDatabase();
  let identity: SignInUnderTest;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine, { wrap: watched.wrap });
    // Workers run statements of their own.
    await identity.stop();
  });
  afterAll(() => identity.close());

  /** Sessions, refresh tokens, counted logins, domain events and activities of the person. */
  async function counts({ id }: Person, organizationId: Parameters<typeof findMembership>[1]) {
    const { reader } = identity.stored.database;
    const key = Buffer.from(id.replaceAll("-", ""), "hex");
    const sessions = await reader("sessions").where("user_id", key).select<{ id: Buffer }[]>("id");
    const tokens = await reader("refresh_tokens")
      .whereIn(
        "session_id",
        sessions.map((session) => session.id),
      )
      .select("token_hash");
    const events = await reader("outbox_messages").select<{ data: Buffer }[]>("data");
    return {
      sessions: sessions.length,
      tokens: tokens.length,
      logins: (await findMembership(reader, organizationId, id))?.loginCount,
      events: events.filter(({ data }) => data.includes(key)).length,
      activities: (await reader("user_activities").where("user_id", key).select("id")).length,
    };
  }

  test.each([undefined, "retried"])("with the Idempotency-Key %s", async (idempotencyKey) => {
    let isComplete = false;
    let deaths = 0;
    for (; !isComplete; deaths += 1) {
      const organizationId = identity.newOrganization();
      const person = await identity.person({}, [organizationId]);
      const signIn = idempotencyKey === undefined ? {} : { idempotencyKey };
      watched.reset({ dieBefore: deaths });
      isComplete = await identity.login(person, signIn).then(
        () => !watched.isDead,
        () => false,
      );
      expect(watched.isDead || isComplete, `statement ${deaths}`).toBe(true);
      watched.reset();
      await identity.clock.advance(LEASE_MS);
      const tokens = await identity.login(person, signIn);
      await identity.refresh(tokens.refreshToken);
      const { sessions, tokens: stored, logins, events, activities } = await counts(person, organizationId);
      expect([logins, events, activities, stored - 1], `statement ${deaths}`).toEqual(
        new Array(4).fill(sessions),
      );
      // Under a key, a login that has committed is not repeated.
      if (idempotencyKey !== undefined) expect(sessions).toBe(1);
    }
    expect(deaths).toBeGreaterThan(STATEMENTS_MIN);
  });
});
