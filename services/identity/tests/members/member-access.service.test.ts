// Tests ends and returns of access: suspension, removal, restore, leaving, and ended sessions.

import { ROLES, type Role } from "@muster/authz";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SignedInUser } from "../signed-in-user.ts";
import { outcomeOf } from "../two-factor/two-factor-under-test.ts";
import { MemberHarness, type TestOrganization } from "./member-harness.ts";

const { getMe } = AccountService.method;
const { listSessions, switchOrganization } = SessionService.method;

type Change = "suspend" | "reinstate" | "remove" | "restore" | "revokeSessions";

describe.each(ENGINES)("access of members on %s", (engine) => {
  let harness: MemberHarness;
  let acme: TestOrganization;
  let owner: SignedInUser;

  beforeAll(async () => {
    harness = await MemberHarness.open(engine);
  });
  beforeEach(async () => {
    acme = await harness.organization();
    owner = await harness.member(acme, "owner");
    await harness.identity.publishedSince();
  });
  afterAll(() => harness.close());

  const eventTypes = async (): Promise<string[]> =>
    (await harness.identity.publishedSince()).map(({ type }) => type.replace("muster.identity.", ""));

  const isSignedIn = (user: SignedInUser) =>
    outcomeOf(harness.identity.call(listSessions, {}, { key: user.token }));

  /** The same person in another organization. */
  async function elsewhere(user: SignedInUser): Promise<SignedInUser> {
    return harness.member(await harness.organization(), "owner", { userId: user.userId });
  }

  const subjectOf = async (user: SignedInUser) =>
    (await harness.identity.mails.next(await harness.emailOf(user.userId))).subject;

  test("a suspension ends the sessions of the organization, and a reinstatement lets the member return", async () => {
    const member = await harness.member(acme, "member");
    const other = await elsewhere(member);
    await isSignedIn(member);
    const { user } = await harness.suspend(owner, member);
    expect(user).toMatchObject({ status: MemberStatus.SUSPENDED, version: 2n });
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await isSignedIn(other)).toBe("accepted");
    const { me } = await harness.identity.call(getMe, {}, { key: other.token });
    expect(me?.organizations.map(({ id }) => id)).toEqual([other.organizationId]);
    const { organizationId } = acme;
    const back = () => harness.identity.call(switchOrganization, { organizationId }, { key: other.token });
    await expectReason(back(), "ORGANIZATION_NOT_FOUND");
    expect(await subjectOf(member)).toBe("Your access was suspended");
    // A second suspension changes nothing.
    expect((await harness.suspend(owner, member)).user).toEqual(user);
    const reinstated = await harness.reinstate(owner, member);
    expect(reinstated.user).toMatchObject({ status: MemberStatus.ACTIVE, version: 3n });
    expect(await harness.reinstate(owner, member)).toEqual(reinstated);
    expect(await subjectOf(member)).toBe("You have access again");
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await eventTypes()).toEqual(["user.suspended.v1", "user.reinstated.v1"]);
    await back();
  });

  test("a removed member is not found, and a restore brings back what was there", async () => {
    const member = await harness.member(acme, "admin");
    const other = await elsewhere(member);
    await harness.update(owner, member, { name: "Grace" });
    const before = (await harness.get(owner, member)).user;
    expect(await harness.memberCount(acme)).toBe(2);
    await harness.remove(owner, member);
    expect(await harness.memberCount(acme)).toBe(1);
    await expectReason(harness.get(owner, member), "USER_NOT_FOUND");
    await expectReason(harness.remove(owner, member), "USER_NOT_FOUND");
    await expectReason(harness.suspend(owner, member), "USER_NOT_FOUND");
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await isSignedIn(other)).toBe("accepted");
    const { user } = await harness.restore(owner, member);
    expect(user).toEqual({ ...before, version: (before?.version ?? 0n) + 1n, updateTime: user?.updateTime });
    expect(await harness.memberCount(acme)).toBe(2);
    await expectReason(harness.restore(owner, member), "USER_EXISTS");
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await eventTypes()).toEqual(["user.deleted.v1", "user.restored.v1"]);
    const subjects = [await subjectOf(member), await subjectOf(member), await subjectOf(member)];
    // Two lanes send mails, so the order may change.
    expect(subjects.sort()).toEqual([
      "You are no longer a member",
      "You have access again",
      "Your membership was changed",
    ]);
  });

  test("a suspended member who was removed returns suspended", async () => {
    const member = await harness.member(acme, "member");
    await harness.suspend(owner, member);
    await harness.remove(owner, member);
    expect((await harness.restore(owner, member)).user?.status).toBe(MemberStatus.SUSPENDED);
  });

  test("a person with a new membership is not restored, and the new membership stays", async () => {
    const member = await harness.member(acme, "admin");
    await harness.remove(owner, member);
    const joined = await harness.member(acme, "member", { userId: member.userId });
    const before = (await harness.get(owner, joined)).user;
    await expectReason(harness.restore(owner, member), "USER_EXISTS");
    expect((await harness.get(owner, joined)).user).toEqual(before);
    // The last removal is what a restore undoes.
    await harness.remove(owner, joined);
    expect((await harness.restore(owner, member)).user).toMatchObject({ role: before?.role });
  });

  test("of restores at once, one succeeds", async () => {
    const member = await harness.member(acme, "member");
    await harness.remove(owner, member);
    const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(harness.restore(owner, member))));
    expect(outcomes.sort()).toEqual(["USER_EXISTS", "USER_EXISTS", "accepted"]);
    expect(await harness.memberCount(acme)).toBe(2);
  });

  test("a member who leaves is gone, and nobody else brings the member back", async () => {
    const member = await harness.member(acme, "member");
    const other = await elsewhere(member);
    await harness.leave(member);
    await expectReason(harness.get(owner, member), "USER_NOT_FOUND");
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await isSignedIn(other)).toBe("accepted");
    await expectReason(harness.restore(owner, member), "USER_NOT_FOUND");
    expect(await eventTypes()).toEqual(["user.left.v1"]);
    expect(await harness.memberCount(acme)).toBe(1);
  });

  test("an earlier removal is forgotten once the member has left", async () => {
    const member = await harness.member(acme, "admin");
    await harness.remove(owner, member);
    await harness.leave(await harness.member(acme, "member", { userId: member.userId }));
    await expectReason(harness.restore(owner, member), "USER_NOT_FOUND");
  });

  test("keys and users without an organization leave nothing", async () => {
    await expectReason(harness.leave(acme), "PERMISSION_DENIED");
    const { database, accessTokens, clock } = harness.identity;
    const { signInUser } = await import("../signed-in-user.ts");
    const nobody = await signInUser({ database, accessTokens, nowMs: clock.nowMs() });
    await expectReason(harness.leave(nobody), "ORGANIZATION_REQUIRED");
  });

  test("ended sessions are those of the organization", async () => {
    const member = await harness.member(acme, "member");
    const other = await elsewhere(member);
    await harness.revokeSessions(owner, member);
    expect(await isSignedIn(member)).toBe("SESSION_ENDED");
    expect(await isSignedIn(other)).toBe("accepted");
    expect((await harness.get(owner, member)).user?.version).toBe(1n);
    expect(await subjectOf(member)).toBe("Your sessions were ended");
  });

  test("the last active owner cannot leave, be suspended or removed", async () => {
    await harness.member(acme, "owner", { status: "suspended" });
    await expectReason(harness.leave(owner), "LAST_OWNER", { row: { http: 409 } });
    await expectReason(harness.suspend(owner, owner), "LAST_OWNER");
    await expectReason(harness.remove(owner, owner), "LAST_OWNER");
    expect(await isSignedIn(owner)).toBe("accepted");
    await harness.member(acme, "owner");
    await harness.leave(owner);
  });

  test("an invited person can be removed, and neither suspended nor reinstated", async () => {
    const invited = await harness.member(acme, "owner", { status: "invited" });
    await expectReason(harness.suspend(owner, invited), "USER_INVITED");
    await expectReason(harness.reinstate(owner, invited), "USER_INVITED");
    expect(await harness.memberCount(acme)).toBe(1);
    // An invited owner is no owner yet.
    await expectReason(harness.leave(owner), "LAST_OWNER");
    await harness.remove(owner, invited);
    await expectReason(harness.get(owner, invited), "USER_NOT_FOUND");
    expect(await harness.memberCount(acme)).toBe(1);
  });

  /** For each change the targets that an admin and a key may change. */
  const TARGETS: Readonly<Record<"admin" | "key", Readonly<Record<Change, readonly Role[]>>>> = {
    admin: {
      suspend: ["admin", "member", "auditor"],
      reinstate: ["admin", "member", "auditor"],
      revokeSessions: ["admin", "member", "auditor"],
      remove: ["admin", "member"],
      restore: ["admin", "member"],
    },
    key: {
      suspend: ["member", "auditor"],
      reinstate: ["member", "auditor"],
      revokeSessions: ["member", "auditor"],
      remove: ["member"],
      restore: ["member"],
    },
  };

  test.each(["admin", "key"] as const)("%s changes nobody above, and no auditor's role", async (actor) => {
    const caller = actor === "key" ? acme : await harness.member(acme, "admin");
    for (const change of Object.keys(TARGETS[actor]) as Change[]) {
      const found: Role[] = [];
      for (const role of ROLES) {
        const target = await harness.member(acme, role);
        if (change === "restore") await harness.remove(owner, target);
        if (change === "reinstate") await harness.suspend(owner, target);
        const outcome = await outcomeOf(harness[change](caller, target));
        expect(["accepted", "PERMISSION_DENIED"]).toContain(outcome);
        if (outcome === "accepted") found.push(role);
      }
      expect({ change, found }).toEqual({ change, found: TARGETS[actor][change] });
    }
  });

  test("members of other organizations are not found by any change", async () => {
    const globex = await harness.organization();
    const stranger = await harness.member(globex, "member");
    const removed = await harness.member(globex, "member");
    const foreignOwner = await harness.member(globex, "owner");
    await harness.remove(foreignOwner, removed);
    for (const change of ["suspend", "reinstate", "remove", "restore", "revokeSessions"] as const) {
      await expectReason(harness[change](owner, stranger), "USER_NOT_FOUND");
      await expectReason(harness[change](owner, removed), "USER_NOT_FOUND");
    }
    expect(await isSignedIn(stranger)).toBe("accepted");
  });
});
