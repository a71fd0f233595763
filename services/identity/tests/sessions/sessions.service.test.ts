// Tests refreshing, switching, listing and ending sessions, and what remains of an ended one.
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { AccountTokens } from "@muster/contracts/muster/identity/v1/user_pb";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listActivityPage } from "../../src/activity/activity-store.ts";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { GRACE_MS } from "../../src/sessions/rotate-refresh-token.ts";
import { findSession } from "../../src/sessions/session-store.ts";
import { claimsOf, type Person, SignInUnderTest, tokensOf } from "./sign-in-under-test.ts";

const { switchOrganization, logout, listSessions, deleteSession, revokeOtherSessions } =
  SessionService.method;

/** Subject of the mail about a reused token. */
const ENDED = "A session was ended";

describe.each(ENGINES)("sessions on %s", (engine) => {
  let identity: SignInUnderTest;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const sessionOf = ({ accessToken }: AccountTokens) => claimsOf(accessToken).sid;

  /** Neither token of the session works. */
  async function isDead(tokens: AccountTokens): Promise<void> {
    await expectReason(identity.refresh(tokens.refreshToken), "SESSION_ENDED", { row: { http: 401 } });
    await expectReason(identity.call(listSessions, {}, identity.by(tokens)), "SESSION_ENDED");
  }

  const ids = async (tokens: AccountTokens): Promise<string[]> => {
    const { sessions } = await identity.call(listSessions, {}, identity.by(tokens));
    return sessions.map(({ id }) => id);
  };

  const kinds = async ({ id }: Person): Promise<string[]> => {
    const page = await listActivityPage(identity.database.reader, id, undefined, 50);
    return page.map(({ kind }) => kind);
  };

  test("a refresh keeps the session and the organization, and returns no device token", async () => {
    const person = await identity.person({}, [identity.newOrganization()]);
    const tokens = await identity.login(person);
    await identity.clock.advance(1_000);
    const next = await identity.refresh(tokens.refreshToken);
    expect(next.deviceToken).toBeUndefined();
    const { sub, sid, org } = claimsOf(tokens.accessToken);
    expect(claimsOf(next.accessToken)).toMatchObject({ sub, sid, org });
    const session = await findSession(identity.database.reader, sessionOf(tokens));
    expect(session?.lastUsedTimeMs).toBe(identity.clock.nowMs());
  });

  test("a garbled or unknown token is unauthenticated", async () => {
    for (const token of ["", "x", `mr_${"A".repeat(43)}`, "é".repeat(100)]) {
      await expectReason(identity.refresh(token), "UNAUTHENTICATED", { row: { http: 401 } });
    }
  });

  test("of fifty refreshes at once with one token nobody is signed out", async () => {
    const person = await identity.person();
    const { refreshToken } = await identity.login(person);
    const responses = await Promise.all(Array.from({ length: 50 }, () => identity.refresh(refreshToken)));
    const successors = new Set(responses.map((tokens) => tokens.refreshToken));
    expect(successors.size).toBe(1);
    await identity.refresh([...successors][0] ?? "");
  });

  test("a late reuse ends that session only, is recorded, and mails the user", async () => {
    const person = await identity.person();
    const stolen = await identity.login(person);
    const other = await identity.login(person);
    const next = await identity.refresh(stolen.refreshToken);
    await identity.clock.advance(GRACE_MS);
    await expectReason(identity.refresh(stolen.refreshToken), "SESSION_ENDED");
    await isDead(next);
    await identity.refresh(other.refreshToken);
    expect(await kinds(person)).toContain("refresh_token_reused");
    await waitFor(() =>
      identity.mails.all.some(({ to, subject }) => to === person.email && subject === ENDED),
    );
    expect(await ids(other)).toEqual([sessionOf(other)]);
  });

  test("a switch opens a session of its own, carries the step-up over, and counts once", async () => {
    const [from, to] = [identity.newOrganization(), identity.newOrganization()];
    const person = await identity.person({ lastOrganizationId: from }, [from, to]);
    const tokens = await identity.login(person);
    await identity.clock.advance(60_000);
    const switched = tokensOf(
      await identity.call(switchOrganization, { organizationId: to }, identity.by(tokens)),
    );
    expect(claimsOf(switched.accessToken).org).toBe(to);
    expect(switched.deviceToken).toBeUndefined();
    const [old, own] = [
      await findSession(identity.database.reader, sessionOf(tokens)),
      await findSession(identity.database.reader, sessionOf(switched)),
    ];
    expect(own?.id).not.toBe(old?.id);
    expect(own?.authenticatedTimeMs).toBe(old?.authenticatedTimeMs);
    await identity.refresh(tokens.refreshToken);
    const next = await identity.refresh(switched.refreshToken);
    expect(claimsOf(next.accessToken).org).toBe(to);
    expect(await findMembership(identity.database.reader, to, person.id)).toMatchObject({ loginCount: 1 });
    expect(await findMembership(identity.database.reader, from, person.id)).toMatchObject({ loginCount: 1 });
    // The next login goes where the user was last.
    expect(claimsOf((await identity.login(person)).accessToken).org).toBe(to);
    expect(await kinds(person)).toContain("organization_switched");
  });

  test("nobody switches to an organization without an active membership", async () => {
    const suspended = identity.newOrganization();
    const person = await identity.person({}, [identity.newOrganization()]);
    await identity.join(person.id, suspended, { status: "suspended" });
    const tokens = await identity.login(person);
    for (const organizationId of ["", "x", identity.newOrganization(), suspended]) {
      await expectReason(
        identity.call(switchOrganization, { organizationId }, identity.by(tokens)),
        "ORGANIZATION_NOT_FOUND",
        { row: { http: 404 } },
      );
    }
    expect(await ids(tokens)).toEqual([sessionOf(tokens)]);
  });

  test("a logout ends the session, once", async () => {
    const person = await identity.person();
    const [tokens, other] = [await identity.login(person), await identity.login(person)];
    await identity.call(logout, {}, identity.by(tokens));
    await isDead(tokens);
    await identity.refresh(other.refreshToken);
    await expectReason(
      identity.call(switchOrganization, { organizationId: identity.newOrganization() }, identity.by(tokens)),
      "SESSION_ENDED",
    );
    expect((await kinds(person)).filter((kind) => kind === "logout")).toHaveLength(1);
  });

  test("the list shows the caller's live sessions, newest first, and pages walk each once", async () => {
    const person = await identity.person();
    await identity.login(await identity.person());
    const made: AccountTokens[] = [];
    for (let index = 0; index < 5; index += 1) {
      made.push(await identity.login(person));
      await identity.clock.advance(index % 2);
    }
    const [current] = made;
    if (current === undefined) throw new Error("no session");
    await identity.call(logout, {}, identity.by(made[2] ?? current));
    const seen: { id: string; current: boolean; clientAddress: string }[] = [];
    let pageToken = "";
    do {
      const page = await identity.call(listSessions, { pageSize: 2, pageToken }, identity.by(current));
      seen.push(...page.sessions);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const live = made.filter((_, index) => index !== 2).map(sessionOf);
    expect(seen.map(({ id }) => id).sort()).toEqual([...live].sort());
    expect(seen.filter((session) => session.current).map(({ id }) => id)).toEqual([sessionOf(current)]);
    expect(seen[0]).toMatchObject({ client: "a test", clientAddress: "203.0.113.1" });
    const foreign = await identity.call(listSessions, { pageSize: 2 }, identity.by(current));
    const stranger = await identity.login(await identity.person());
    await expectReason(
      identity.call(listSessions, { pageToken: foreign.nextPageToken }, identity.by(stranger)),
      "PAGE_TOKEN_INVALID",
    );
  });

  test("a session is ended by its owner and by nobody else, once", async () => {
    const person = await identity.person();
    const [caller, ended] = [await identity.login(person), await identity.login(person)];
    const stranger = await identity.login(await identity.person());
    const sessionId = sessionOf(ended);
    const remove = (id: string, tokens: AccountTokens) =>
      identity.call(deleteSession, { sessionId: id }, identity.by(tokens));
    for (const id of ["x", sessionId.toUpperCase(), identity.newOrganization()]) {
      await expectReason(remove(id, caller), "SESSION_NOT_FOUND", { row: { http: 404 } });
    }
    await expectReason(remove(sessionId, stranger), "SESSION_NOT_FOUND");
    await remove(sessionId, caller);
    await expectReason(remove(sessionId, caller), "SESSION_NOT_FOUND");
    await isDead(ended);
    await identity.refresh(caller.refreshToken);
  });

  test("revoking the others leaves the calling session alone", async () => {
    const person = await identity.person();
    const made = await Promise.all(Array.from({ length: 4 }, () => identity.login(person)));
    const [caller, ...others] = made;
    if (caller === undefined) throw new Error("no session");
    const stranger = await identity.login(await identity.person());
    await identity.call(revokeOtherSessions, {}, identity.by(caller));
    for (const tokens of others) await isDead(tokens);
    await identity.refresh(caller.refreshToken);
    await identity.refresh(stranger.refreshToken);
    expect(await ids(caller)).toEqual([sessionOf(caller)]);
  });

  test("a suspended membership and a deleted user refresh no more", async () => {
    const organizationId = identity.newOrganization();
    const [suspended, deleted] = [await identity.person({}, [organizationId]), await identity.person()];
    const [one, other] = [await identity.login(suspended), await identity.login(deleted)];
    const key = (id: string) => Buffer.from(id.replaceAll("-", ""), "hex");
    await identity.stored.database.transaction(async (trx) => {
      await trx("memberships")
        .where("user_id", key(suspended.id))
        .update({ status: Buffer.from("suspended") });
      await trx("users").where("id", key(deleted.id)).delete();
    });
    await isDead(one);
    await isDead(other);
  });
});
