// Tests provisioning: the owner with and without an account, repeated and concurrent requests, and partners apart.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { ENGINES, findInTables } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { PASSWORD } from "../accounts/account-harness.ts";
import { expiredDataWorker } from "../accounts/expired-data.ts";
import { ProvisioningHarness } from "./provisioning-harness.ts";

const { getMe, resetPassword } = AccountService.method;
const { acceptInvitation } = InvitationService.method;
const DAY_MS = 86_400_000;

describe.each(ENGINES)("provisioning on %s", (engine) => {
  let harness: ProvisioningHarness;

  beforeAll(async () => {
    harness = await ProvisioningHarness.open(engine);
  });
  afterAll(() => harness.close());

  const memberOf = (organizationId: string, userId: string) =>
    findMembership(harness.identity.database.reader, organizationId as OrganizationId, userId as UserId);

  test("a new owner is a member at once, and sets a password by mail, which verifies the address", async () => {
    const { identity } = harness;
    const content = harness.content({ ownerName: "Grace", organizationName: "Navy" });
    const response = await harness.provision(await harness.partner(), content);
    const { organization, owner } = response;
    expect(organization).toMatchObject({ name: "Navy", timeZone: "UTC", memberCount: 1n, version: 1n });
    expect(owner).toMatchObject({
      email: content.ownerEmail,
      name: "Grace",
      role: Role.OWNER,
      status: MemberStatus.ACTIVE,
      verified: false,
    });
    expect(await harness.isWhole(response)).toBe(true);
    const mail = await identity.mails.next(content.ownerEmail);
    expect(mail.subject).toBe("Set up your account");
    expect(mail.text).toContain("Organization: Navy");
    const token = decodeURIComponent(/#token=(\S+)/.exec(mail.text)?.[1] ?? "");
    identity.later(6 * 86_400_000);
    await identity.call(resetPassword, { token, password: PASSWORD });
    const user = await identity.userOf(content.ownerEmail);
    expect(user).toMatchObject({ isEmailVerified: true, name: "Grace" });
    const { me } = await identity.call(getMe, {}, identity.as(user));
    expect(me?.organizations).toMatchObject([{ id: organization?.id, name: "Navy", role: Role.OWNER }]);
  });

  test("an owner with an account is invited, and becomes the owner by accepting", async () => {
    const { identity } = harness;
    const user = await identity.newUser();
    const content = harness.content({ ownerEmail: user.email, ownerName: "The boss" });
    const { organization, owner } = await harness.provision(await harness.partner(), content);
    expect(organization).toMatchObject({ memberCount: 0n });
    expect(owner).toMatchObject({
      id: user.id,
      name: "The boss",
      status: MemberStatus.INVITED,
      verified: false,
    });
    const token = await identity.mails.nextToken(user.email);
    expect((await identity.call(getMe, {}, identity.as(user))).me?.organizations).toEqual([]);
    await identity.call(acceptInvitation, { token }, identity.as(user));
    const id = organization?.id ?? "";
    expect(await memberOf(id, user.id)).toMatchObject({ role: "owner", status: "active", name: "The boss" });
    // The account stays as it was.
    expect((await identity.userOf(user.email)).name).toBe(user.name);
  });

  test("a repeated request returns the same response, also after changes, and creates nothing", async () => {
    const { identity } = harness;
    const partner = await harness.partner();
    const content = harness.content();
    const first = await harness.provision(partner, content);
    const token = await identity.mails.nextToken(content.ownerEmail);
    await identity.call(resetPassword, { token, password: PASSWORD });
    await identity.database.transaction(async (trx) => {
      const id = uuidToBytes(first.organization?.id ?? "");
      await trx("organizations")
        .where("id", id)
        .update({ name: Buffer.from("Renamed"), version: 2 });
    });
    const rows = await harness.rows();
    const { calls } = harness.segments;
    expect(await harness.provision(partner, content)).toEqual(first);
    expect(await harness.rows()).toEqual(rows);
    expect(harness.segments.calls).toBe(calls);
  });

  test("a repetition after the end of the invitation invites the owner again, until there is an owner", async () => {
    const { identity } = harness;
    const user = await identity.newUser();
    const partner = await harness.partner();
    const content = harness.content({ ownerEmail: user.email });
    const first = await harness.provision(partner, content);
    await identity.mails.nextToken(user.email);
    const mails = () => identity.mails.all.filter(({ to }) => to === user.email).length;
    const sent = mails();
    identity.later(6 * DAY_MS);
    await harness.provision(partner, content);
    expect(mails()).toBe(sent);
    const pending = await harness.rows();
    identity.later(DAY_MS);
    expect(await Promise.all([1, 2].map(() => harness.provision(partner, content)))).toEqual([first, first]);
    await identity.mails.nextToken(user.email);
    expect(mails()).toBe(sent + 1);
    identity.later(40 * DAY_MS);
    await expiredDataWorker(identity).sweep();
    expect(await harness.provision(partner, content)).toEqual(first);
    const after = await harness.rows();
    expect([after.invitations, after.memberships]).toEqual([pending.invitations, pending.memberships]);
    const token = await identity.mails.nextToken(user.email);
    await identity.call(acceptInvitation, { token }, identity.as(user));
    expect(await memberOf(first.organization?.id ?? "", user.id)).toMatchObject({ status: "active" });
    identity.later(40 * DAY_MS);
    expect(await harness.provision(partner, content)).toEqual(first);
    expect(mails()).toBe(sent + 2);
  });

  test.each([
    ["organizationName", "Other Shop"],
    ["ownerEmail", "somebody.else@example.com"],
    ["ownerName", "Eve"],
  ])("another %s under the same external id is a conflict", async (field, value) => {
    const partner = await harness.partner();
    const content = harness.content();
    await harness.provision(partner, content);
    const rows = await harness.rows();
    await expectReason(harness.provision(partner, { ...content, [field]: value }), "PROVISIONING_CONFLICT");
    expect(await harness.rows()).toEqual(rows);
  });

  test("external ids of partners do not collide, and compare byte for byte", async () => {
    const [one, two] = [await harness.partner("One"), await harness.partner("Two")];
    const content = harness.content({ externalId: "shop" });
    const first = await harness.provision(one, content);
    const second = await harness.provision(two, { ...content, organizationName: "Second" });
    const third = await harness.provision(one, { ...content, externalId: "Shop" });
    const ids = [first, second, third].map(({ organization }) => organization?.id);
    expect(new Set(ids).size).toBe(3);
    // A person who has not set a password yet is no account: the same person owns all three.
    expect(new Set([first, second, third].map(({ owner }) => owner?.id)).size).toBe(1);
  });

  test("equal requests at once get equal responses and make one organization", async () => {
    const partner = await harness.partner();
    const content = harness.content();
    const before = await harness.rows();
    const responses = await Promise.all([1, 2, 3].map(() => harness.provision(partner, content)));
    expect(responses[1]).toEqual(responses[0]);
    expect(responses[2]).toEqual(responses[0]);
    const after = await harness.rows();
    expect((after.organizations ?? 0) - (before.organizations ?? 0)).toBe(1);
    expect((after.one_time_tokens ?? 0) - (before.one_time_tokens ?? 0)).toBe(1);
  });

  test("many organizations of one new person at once have one owner", async () => {
    const ownerEmail = harness.identity.newAddress();
    const partners = await Promise.all(["One", "Two", "Three"].map((name) => harness.partner(name)));
    const calls = partners.flatMap((partner) =>
      [1, 2, 3, 4].map(() => harness.provision(partner, harness.content({ ownerEmail }))),
    );
    const made = await Promise.all(calls);
    const { id } = await harness.identity.userOf(ownerEmail);
    expect(new Set(made.map(({ owner }) => owner?.id))).toEqual(new Set([id]));
    const rows = await harness.identity.database
      .reader("memberships")
      .select("organization_id")
      .where({ user_id: uuidToBytes(id), status: Buffer.from("active") });
    expect(rows).toHaveLength(calls.length);
  });

  test.each([
    ["external_id", { externalId: "" }],
    ["external_id", { externalId: "x".repeat(256) }],
    ["organization_name", { organizationName: "" }],
    ["owner_email", { ownerEmail: "nobody" }],
    ["owner_name", { ownerName: " " }],
    ["owner_name", { ownerName: "two\nlines" }],
  ])("an invalid %s is refused", async (field, changes) => {
    const before = await harness.rows();
    const call = harness.provision(await harness.partner(), harness.content(changes));
    await expectReason(call, "FIELD_INVALID", { fields: [{ field }] });
    expect(await harness.rows()).toEqual(before);
  });

  test("the content of a request does not stay in clear or sealed", async () => {
    const content = harness.content({ ownerName: "Unforgotten" });
    const { organization } = await harness.provision(await harness.partner(), content);
    const [row] = await harness.identity.database
      .reader("provisionings")
      .select("input")
      .where("organization_id", uuidToBytes(organization?.id ?? ""));
    expect(row).toEqual({ input: null });
    const places = await findInTables(harness.identity.database, "Unforgotten");
    expect(places.filter((place) => place.includes("provisionings"))).toEqual([]);
  });
});
