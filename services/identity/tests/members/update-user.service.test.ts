// Tests changes of the name and the role of a member: versions, ranks, the own row, and what follows a change.
import { fromBinary } from "@bufbuild/protobuf";
import { ROLES, type Role, roleToProto } from "@muster/authz";
import { UserRoleChangedSchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { outcomeOf } from "../two-factor/two-factor-under-test.ts";
import { MemberHarness, type TestOrganization } from "./member-harness.ts";

describe.each(ENGINES)("UpdateUser on %s", (engine) => {
  let harness: MemberHarness;
  let acme: TestOrganization;

  beforeAll(async () => {
    harness = await MemberHarness.open(engine);
  });
  beforeEach(async () => {
    acme = await harness.organization();
  });
  afterAll(() => harness.close());

  test("changes the name and the role, and counts a version for each change", async () => {
    const owner = await harness.member(acme, "owner");
    const member = await harness.member(acme, "member");
    await harness.identity.publishedSince();
    const changes = { name: " Ada L. ", role: RoleMessage.ADMIN, version: 1n };
    const { user } = await harness.update(owner, member, changes);
    expect(user).toMatchObject({ name: "Ada L.", role: RoleMessage.ADMIN, version: 2n });
    expect((await harness.get(owner, member)).user).toEqual(user);
    const [event, ...more] = await harness.identity.publishedSince();
    expect(more).toEqual([]);
    expect(event?.type).toBe("muster.identity.user.role_changed.v1");
    expect(fromBinary(UserRoleChangedSchema, event?.data ?? new Uint8Array())).toMatchObject({
      organizationId: uuidToBytes(acme.organizationId),
      userId: uuidToBytes(member.userId),
      role: "admin",
      previousRole: "member",
    });
    const { subject, text } = await harness.identity.mails.next(await harness.emailOf(member.userId));
    expect(subject).toBe("Your membership was changed");
    expect(text).toContain("Acme");
    // The same values are no change.
    const again = await harness.update(owner, member, { ...changes, version: 2n });
    expect(again.user?.version).toBe(2n);
    expect(await harness.identity.publishedSince()).toEqual([]);
  });

  test("demands the version that the caller has read", async () => {
    const owner = await harness.member(acme, "owner");
    const member = await harness.member(acme, "member");
    const { updateUser } = (await import("@muster/contracts/muster/identity/v1/user_service_pb")).UserService
      .method;
    const update = (request: object) =>
      harness.identity.call(updateUser, { userId: member.userId, ...request }, { key: owner.token });
    await expectReason(update({ user: { name: "Bo" } }), "VERSION_REQUIRED");
    await expectReason(update({ user: { name: "Bo", version: 2n } }), "VERSION_CONFLICT");
    await expectReason(update({ user: { name: "Bo" }, ifMatch: '"2-x"' }), "ETAG_MISMATCH");
    expect((await update({ user: { name: "Bo" }, ifMatch: '"1-x"' })).user?.version).toBe(2n);
    // Of two changes of one version, one succeeds.
    const outcomes = await Promise.all(
      ["Cy", "Di"].map((name) => outcomeOf(update({ user: { name, version: 2n } }))),
    );
    expect(outcomes.sort()).toEqual(["VERSION_CONFLICT", "accepted"]);
  });

  /** For each actor and target the roles that the actor can give: from the text of the contract. */
  const RULES: Readonly<Record<string, Readonly<Record<Role, readonly Role[]>>>> = {
    owner: {
      owner: ["owner", "admin", "member", "auditor"],
      admin: ["owner", "admin", "member", "auditor"],
      member: ["owner", "admin", "member", "auditor"],
      auditor: ["owner", "admin", "member", "auditor"],
    },
    admin: {
      owner: [],
      admin: ["admin", "member"],
      member: ["admin", "member"],
      // The name of an auditor may be changed, the role not.
      auditor: ["auditor"],
    },
    key: { owner: [], admin: [], member: ["member"], auditor: ["auditor"] },
    member: { owner: [], admin: [], member: [], auditor: [] },
    auditor: { owner: [], admin: [], member: [], auditor: [] },
  };

  test.each(Object.keys(RULES))("%s changes what the rank allows", async (actor) => {
    const caller = actor === "key" ? acme : await harness.member(acme, actor as Role);
    await harness.member(acme, "owner");
    const found: Record<string, Role[]> = {};
    for (const target of ROLES) {
      found[target] = [];
      for (const role of ROLES) {
        const member = await harness.member(acme, target);
        const changes = { name: "Changed", role: roleToProto(role) };
        const outcome = await outcomeOf(harness.update(caller, member, changes));
        expect(["accepted", "PERMISSION_DENIED"]).toContain(outcome);
        if (outcome === "accepted") found[target]?.push(role);
      }
    }
    expect(found).toEqual(RULES[actor]);
  });

  test.each(ROLES)("%s changes the own name", async (role) => {
    const user = await harness.member(acme, role);
    const { user: changed } = await harness.update(user, user, { name: "Myself" });
    expect(changed).toMatchObject({ name: "Myself", role: roleToProto(role) });
    const grants = { name: "More", role: RoleMessage.OWNER };
    if (role !== "owner") await expectReason(harness.update(user, user, grants), "PERMISSION_DENIED");
  });

  test("a user with less than users.update changes nobody else, and no own role", async () => {
    const member = await harness.member(acme, "member");
    const other = await harness.member(acme, "auditor");
    await expectReason(harness.update(member, other, { name: "Other" }), "PERMISSION_DENIED");
    const lower = { role: RoleMessage.AUDITOR };
    await expectReason(harness.update(member, member, lower), "PERMISSION_DENIED");
  });

  test("a change of role counts for the next call of the member", async () => {
    const owner = await harness.member(acme, "owner");
    const admin = await harness.member(acme, "admin");
    const other = await harness.member(acme, "member");
    await harness.update(admin, other, { name: "By an admin" });
    await harness.update(owner, admin, { role: RoleMessage.MEMBER });
    await expectReason(harness.update(admin, other, { name: "By a member" }), "PERMISSION_DENIED");
  });

  test("the last active owner keeps the role", async () => {
    const owner = await harness.member(acme, "owner");
    await harness.member(acme, "owner", { status: "suspended" });
    const demotion = { role: RoleMessage.ADMIN };
    await expectReason(harness.update(owner, owner, demotion), "LAST_OWNER");
    const second = await harness.member(acme, "owner");
    await harness.update(second, owner, demotion);
    await expectReason(harness.update(second, second, demotion), "LAST_OWNER");
  });

  test("members of other organizations are not found, and stay as they are", async () => {
    const globex = await harness.organization();
    const stranger = await harness.member(globex, "member");
    const before = (await harness.get(globex, stranger)).user;
    const owner = await harness.member(acme, "owner");
    for (const userId of [stranger.userId, "", "nobody"]) {
      const target = { userId: userId as typeof stranger.userId };
      await expectReason(harness.update(owner, target, { name: "Mine" }), "USER_NOT_FOUND");
    }
    expect((await harness.get(globex, stranger)).user).toEqual(before);
  });

  test("bad names and roles are refused by name", async () => {
    const owner = await harness.member(acme, "owner");
    for (const [changes, field] of [
      [{ name: "" }, "user.name"],
      [{ name: "A\nB" }, "user.name"],
      [{ name: "x".repeat(101) }, "user.name"],
      [{ role: RoleMessage.UNSPECIFIED }, "user.role"],
      [{ role: 99 as RoleMessage }, "user.role"],
    ] as const) {
      await expectReason(harness.update(owner, owner, changes), "FIELD_INVALID", { fields: [{ field }] });
    }
  });
});
