import { fromBinary } from "@bufbuild/protobuf";
import { UserJoinedSchema } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { type OrganizationId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import {
  createOrganizationDirect,
  DEMO_ORGANIZATION_ID,
  ensureDemoOrganization,
} from "@muster/service-identity";
import { ENGINES } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Membership } from "../src/memberships/membership.ts";
import {
  findMembership,
  insertMembership,
  listActiveMemberships,
} from "../src/memberships/membership-store.ts";
import { findUserByEmail } from "../src/users/user-store.ts";
import { IdentityUnderTest } from "./identity-under-test.ts";
import { type SignedInOptions, type SignedInUser, signInUser } from "./signed-in-user.ts";

const { createOrganization, getOrganization, listOrganizations, updateOrganization } =
  OrganizationService.method;
const directory = OrganizationDirectoryService.method;

describe.each(ENGINES)("organizations on %s", (engine) => {
  let identity: IdentityUnderTest;
  let key: string;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    key = (await identity.organization("Acme")).secret;
  });
  afterAll(() => identity.close());

  const signIn = (options: Partial<SignedInOptions> = {}): Promise<SignedInUser> =>
    signInUser({
      database: identity.database,
      accessTokens: identity.accessTokens,
      nowMs: identity.clock.nowMs(),
      ...options,
    });

  async function namesFor(as: CallAs): Promise<string[]> {
    const { organizations } = await identity.call(listOrganizations, {}, as);
    return organizations.map(({ name }) => name);
  }

  test("the user who creates an organization owns it, and no key comes with it", async () => {
    const { token, userId } = await signIn();
    await identity.publishedSince();
    const before = await identity.rowCounts();
    const { organization } = await identity.call(createOrganization, { name: "Zoë & co " }, { key: token });
    expect(organization).toMatchObject({ name: "Zoë & co ", timeZone: "UTC" });
    const after = await identity.rowCounts();
    expect(after).toEqual({ ...before, organizations: (before.organizations ?? 0) + 1 });
    const organizationId = organization?.id as OrganizationId;
    expect(await findMembership(identity.database.reader, organizationId, userId)).toMatchObject({
      role: "owner",
      status: "active",
    });
    const [event] = await identity.publishedSince();
    expect(event?.type).toBe("muster.identity.user.joined.v1");
    expect(fromBinary(UserJoinedSchema, event?.data ?? new Uint8Array())).toMatchObject({
      organizationId: uuidToBytes(organizationId),
      userId: uuidToBytes(userId),
      role: "owner",
    });
  });

  test("no API key creates an organization, whatever its scopes", async () => {
    await expectReason(identity.call(createOrganization, { name: "By key" }, { key }), "PERMISSION_DENIED");
  });

  test("a user owns at most ten, also with several calls at once", async () => {
    const { token } = await signIn();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) =>
        identity.call(createOrganization, { name: `Of ten ${index}` }, { key: token }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        expect(outcome.reason).toMatchObject({ reason: "ORGANIZATION_LIMIT", row: { http: 409 } });
      }
    }
    // Memberships with other roles do not count, and neither do invitations, which anybody can send.
    const { token: other, userId } = await signIn();
    for (let index = 0; index < 10; index += 1) {
      const joined = (await identity.organization(`Joined ${index}`)).organizationId as OrganizationId;
      const inviting = (await identity.organization(`Inviting ${index}`)).organizationId as OrganizationId;
      await identity.database.transaction(async (trx) => {
        await insertMembership(trx, memberOf(joined, userId));
        await insertMembership(trx, { ...memberOf(inviting, userId), role: "owner", status: "invited" });
      });
    }
    expect(
      (await identity.call(createOrganization, { name: "First" }, { key: other })).organization,
    ).toBeDefined();
  });

  test("a user lists the organizations of active memberships, in pages by id", async () => {
    const acme = await identity.organization("Active");
    const suspended = await identity.organization("Suspended");
    const user = await signIn({ organizationId: acme.organizationId as OrganizationId, role: "auditor" });
    const { userId, token } = user;
    await signIn({ userId, organizationId: suspended.organizationId as OrganizationId, status: "suspended" });
    for (let index = 0; index < 4; index += 1) {
      await identity.call(createOrganization, { name: `Own ${index}` }, { key: token });
    }
    const all = await identity.call(listOrganizations, {}, { key: token });
    const names = all.organizations.map(({ name }) => name);
    expect([...names].sort()).toEqual(["Active", "Own 0", "Own 1", "Own 2", "Own 3"]);
    const walked: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await identity.call(listOrganizations, { pageSize: 2, pageToken }, { key: token });
      walked.push(...page.organizations.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(walked).toEqual(names);
    await expectReason(
      identity.call(listOrganizations, { pageToken: "anything" }, { key: token }),
      "PAGE_TOKEN_INVALID",
    );
  });

  test("a key lists its own organization", async () => {
    expect(await namesFor({ key })).toEqual(["Acme"]);
    await expectReason(
      identity.call(listOrganizations, { pageToken: "anything" }, { key }),
      "PAGE_TOKEN_INVALID",
    );
  });

  test("two of one name are two organizations", async () => {
    const { token } = await signIn();
    const [one, two] = await Promise.all([
      identity.call(createOrganization, { name: "Twin" }, { key: token }),
      identity.call(createOrganization, { name: "Twin" }, { key: token }),
    ]);
    expect(one.organization?.id).not.toBe(two.organization?.id);
  });

  test("a bad name or time zone is refused by name and leaves nothing", async () => {
    const { token } = await signIn();
    const before = await identity.rowCounts();
    for (const name of ["", "x".repeat(256)]) {
      const refused = { reason: "FIELD_INVALID", fields: [{ field: "name" }] };
      const call = identity.call(createOrganization, { name }, { key: token });
      await expect(call).rejects.toMatchObject(refused);
      const direct = createOrganizationDirect(identity.database, {
        clock: identity.clock,
        ids: randomIds,
        name,
      });
      await expect(direct).rejects.toMatchObject(refused);
    }
    for (const timeZone of ["", "Mars/Olympus", "+02:00", "x".repeat(65)]) {
      const call = identity.call(createOrganization, { name: "Zoned", timeZone }, { key: token });
      await expectReason(call, "FIELD_INVALID", { fields: [{ field: "time_zone" }] });
    }
    expect(await identity.rowCounts()).toEqual(before);
  });

  test("other services read the time zone of an organization", async () => {
    const { token } = await signIn();
    const request = { name: "Zoned", timeZone: "america/new_york" };
    const { organization } = await identity.call(createOrganization, request, { key: token });
    expect(organization?.timeZone).toBe("America/New_York");
    const query = { organizationId: uuidToBytes(organization?.id ?? "") };
    const loaded = await identity.call(directory.getOrganization, query, { service: "segments" });
    expect(loaded.organization).toEqual(organization);
    const unknown = { organizationId: new Uint8Array(16) };
    await expectReason(
      identity.call(directory.getOrganization, unknown, { service: "segments" }),
      "ORGANIZATION_NOT_FOUND",
    );
  });

  test("an update changes what the mask names, or else what is set", async () => {
    const { organizationId, secret } = await identity.organization("Before");
    const listed = await identity.call(listOrganizations, {}, { key: secret });
    const [made] = listed.organizations;
    const update = async (organization: object, paths: string[] = []) => {
      const request = { organizationId, organization, updateMask: { paths } };
      const response = await identity.call(updateOrganization, request, { key: secret });
      const { organizations } = await identity.call(listOrganizations, {}, { key: secret });
      expect(organizations).toEqual([response.organization]);
      expect(response.organization).toMatchObject({ id: organizationId, createTime: made?.createTime });
      return [response.organization?.name, response.organization?.timeZone];
    };
    expect(await update({ timeZone: "Europe/Berlin" })).toEqual(["Before", "Europe/Berlin"]);
    expect(await update({ name: "After", timeZone: "Asia/Tokyo" }, ["name"])).toEqual([
      "After",
      "Europe/Berlin",
    ]);
    expect(await update({})).toEqual(["After", "Europe/Berlin"]);
    expect(await update({}, ["time_zone"])).toEqual(["After", "UTC"]);
    const refusals: [object, string[], string][] = [
      [{ timeZone: "Nowhere" }, [], "organization.time_zone"],
      [{ name: "" }, [], "organization.name"],
      [{}, ["name"], "organization.name"],
      [{ name: "Again" }, ["name", "id"], "update_mask"],
    ];
    for (const [organization, paths, field] of refusals) {
      await expect(update(organization, paths)).rejects.toMatchObject({ fields: [{ field }] });
    }
    expect(await update({})).toEqual(["After", "UTC"]);
  });

  test("members count without the invited, in every answer and by one statement for a page", async () => {
    const { organizationId, secret } = await identity.organization("Counted");
    const id = organizationId as OrganizationId;
    expect(
      (await identity.call(getOrganization, { organizationId }, { key: secret })).organization,
    ).toMatchObject({
      memberCount: 0n,
      version: 1n,
      requireTwoFactor: false,
    });
    const { token } = await signIn({ organizationId: id, role: "owner" });
    await signIn({ organizationId: id, role: "member", status: "suspended" });
    await signIn({ organizationId: id, role: "member", status: "invited" });
    const other = await identity.call(createOrganization, { name: "Alone" }, { key: token });
    const mine = await identity.call(getOrganization, { organizationId }, { key: token });
    expect(mine.organization?.memberCount).toBe(2n);
    const change = { organizationId, organization: { timeZone: "Asia/Tokyo" } };
    const changed = await identity.call(updateOrganization, change, { key: token });
    expect(changed.organization).toMatchObject({ memberCount: 2n, version: 2n });
    expect(other.organization).toMatchObject({ memberCount: 1n, version: 1n });
    const { organizations } = await identity.call(listOrganizations, {}, { key: token });
    const counts = organizations.map(({ name, memberCount }) => [name, memberCount]);
    expect(counts.sort()).toEqual([
      ["Alone", 1n],
      ["Counted", 2n],
    ]);
  });

  test("a change counts once, and a stale version or entity tag is refused", async () => {
    const { organizationId, secret } = await identity.organization("Versioned");
    const update = async (organization: object, ifMatch?: string) => {
      const request = { organizationId, organization, ...(ifMatch === undefined ? {} : { ifMatch }) };
      return (await identity.call(updateOrganization, request, { key: secret })).organization;
    };
    const first = await update({ requireTwoFactor: true });
    expect(first).toMatchObject({ requireTwoFactor: true, version: 2n, name: "Versioned" });
    expect(await update({ requireTwoFactor: true, version: 2n })).toEqual(first);
    await identity.clock.advance(1_000);
    const second = await update({ name: "Renamed" }, '"2-digest"');
    expect(second).toMatchObject({ name: "Renamed", version: 3n, createTime: first?.createTime });
    expect(second?.updateTime).not.toEqual(first?.updateTime);
    await expectReason(update({ name: "Late" }, '"2"'), "ETAG_MISMATCH");
    await expectReason(update({ name: "Late", version: 2n }), "VERSION_CONFLICT");
    const racing = await Promise.allSettled([
      update({ name: "One", version: 3n }),
      update({ name: "Two", version: 3n }),
    ]);
    expect(racing.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("another's organization is not found, and not changed", async () => {
    const other = await identity.organization("Other");
    for (const organizationId of [other.organizationId, "", "nonsense"]) {
      const request = { organizationId, organization: { name: "Mine" } };
      await expectReason(identity.call(updateOrganization, request, { key }), "ORGANIZATION_NOT_FOUND");
      await expectReason(
        identity.call(getOrganization, { organizationId }, { key }),
        "ORGANIZATION_NOT_FOUND",
      );
    }
    expect(await namesFor({ key: other.secret })).toEqual(["Other"]);
  });

  test("the same idempotency key makes one organization", async () => {
    const as = { key: (await signIn()).token, idempotencyKey: "found" };
    const first = await identity.call(createOrganization, { name: "Once" }, as);
    const counts = await identity.rowCounts();
    expect(await identity.call(createOrganization, { name: "Once" }, as)).toEqual(first);
    expect(await identity.rowCounts()).toEqual(counts);
  });

  test("an operator names the owner: of several commands at once, one creates the user", async () => {
    const made = await Promise.all(
      ["Ada@Example.com", " ada@example.com", "ADA@EXAMPLE.COM"].map((ownerEmail, index) => {
        const options = { clock: identity.clock, ids: randomIds, name: `Of Ada ${index}`, ownerEmail };
        return createOrganizationDirect(identity.database, options);
      }),
    );
    const [userId, ...others] = new Set(made.map(({ ownerId }) => ownerId));
    expect(others).toEqual([]);
    // The user sets a password by mail, which verifies the address.
    const user = await findUserByEmail(identity.database.reader, "ada@example.com");
    expect(user).toMatchObject({
      id: userId,
      isEmailVerified: false,
      passwordHash: undefined,
      name: expect.stringMatching(/^ada$/i),
    });
    const memberships = await listActiveMemberships(identity.database.reader, userId as UserId);
    expect(memberships.map(({ organizationId }) => organizationId).sort()).toEqual(
      made.map(({ organizationId }) => organizationId).sort(),
    );
    expect(memberships.map(({ role }) => role)).toEqual(["owner", "owner", "owner"]);
  });

  test("the demo organization is made once, by one of several, and a lost key can be replaced", async () => {
    const options = { clock: identity.clock, ids: randomIds };
    const made = await Promise.all(
      Array.from({ length: 5 }, () => ensureDemoOrganization(identity.database, options)),
    );
    const secrets = made.flatMap((one) => (one?.secret === undefined ? [] : [one.secret]));
    expect(secrets).toHaveLength(1);
    expect(new Set(made.map((one) => one?.organizationId))).toEqual(new Set([DEMO_ORGANIZATION_ID]));

    const again = await ensureDemoOrganization(identity.database, options);
    expect(again).toEqual({ organizationId: DEMO_ORGANIZATION_ID, secret: undefined });
    const replaced = await ensureDemoOrganization(identity.database, { ...options, keyLost: true });
    for (const secret of [...secrets, replaced?.secret]) {
      const { organizations } = await identity.call(listOrganizations, {}, { key: secret });
      expect(organizations.map(({ id }) => id)).toEqual([DEMO_ORGANIZATION_ID]);
    }
  });
});

function memberOf(organizationId: OrganizationId, userId: UserId): Membership {
  return {
    organizationId,
    userId,
    name: "Ada",
    role: "admin",
    status: "active",
    lastLoginTimeMs: undefined,
    loginCount: 0,
    version: 1,
    createTimeMs: 0,
    updateTimeMs: 0,
  };
}
