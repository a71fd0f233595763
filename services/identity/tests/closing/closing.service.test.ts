// Tests the deletion of an organization: the request, its revocation, the end of access, and the erasure here.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { findClosedOrganization } from "@muster/outbox";
import { columnsOf, ENGINES, findInTables, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closeOrganization } from "../../src/closing/close-organization.ts";
import { organizationContent } from "../../src/closing/organization-content.ts";
import { findOrganization } from "../../src/organizations/organization-store.ts";
import { setLastOrganization } from "../../src/users/user-store.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { type SignedInOptions, type SignedInUser, signInUser } from "../signed-in-user.ts";

const { deleteOrganization, getOrganization, listOrganizations, undeleteOrganization } =
  OrganizationService.method;
const DAY_MS = 86_400_000;

describe.each(ENGINES)("closing an organization on %s", (engine) => {
  let identity: IdentityUnderTest;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const signIn = (options: Partial<SignedInOptions> = {}): Promise<SignedInUser> => {
    const { database, accessTokens, clock } = identity;
    const nowMs = clock.nowMs();
    return signInUser({ database, accessTokens, nowMs, authenticatedTimeMs: nowMs, ...options });
  };

  async function owned(name: string) {
    const { organizationId, secret } = await identity.organization(name);
    const id = organizationId as OrganizationId;
    const owner = await signIn({ organizationId: id, role: "owner" });
    return { id, secret, owner };
  }

  test("only an owner with step-up requests it; everything works until then, and it can be revoked", async () => {
    const { id, secret, owner } = await owned("Kept");
    const admin = await signIn({ organizationId: id, role: "admin" });
    const stale = await signIn({ organizationId: id, role: "owner", authenticatedTimeMs: undefined });
    const request = { organizationId: id };
    await expectReason(identity.call(deleteOrganization, request, { key: admin.token }), "PERMISSION_DENIED");
    await expectReason(identity.call(deleteOrganization, request, { key: secret }), "PERMISSION_DENIED");
    await expectReason(identity.call(deleteOrganization, request, { key: stale.token }), "STEP_UP_REQUIRED");
    const other = await owned("Other");
    await expectReason(
      identity.call(deleteOrganization, request, { key: other.owner.token }),
      "ORGANIZATION_NOT_FOUND",
    );
    await expectReason(
      identity.call(undeleteOrganization, request, { key: other.owner.token }),
      "ORGANIZATION_NOT_FOUND",
    );

    const nowMs = identity.clock.nowMs();
    const first = await identity.call(deleteOrganization, request, { key: owner.token });
    expect(Number(first.organization?.deleteTime?.seconds) * 1000).toBe(nowMs + 7 * DAY_MS);
    expect(first.organization?.version).toBe(2n);
    const again = await identity.call(deleteOrganization, request, { key: owner.token });
    expect(again).toEqual(first);
    // A mail for each of the two owners, also after a repetition.
    const sent = () =>
      identity.mails.all.filter(({ subject }) => subject === "Your organization will be deleted");
    await waitFor(() => sent().length === 2);
    expect(new Set(sent().map(({ to }) => to)).size).toBe(2);
    expect((await identity.call(getOrganization, request, { key: secret })).organization).toEqual(
      first.organization,
    );
    await expectReason(
      identity.call(undeleteOrganization, request, { key: admin.token }),
      "PERMISSION_DENIED",
    );
    const revoked = await identity.call(undeleteOrganization, request, { key: owner.token });
    expect(revoked.organization).toMatchObject({ version: 3n });
    expect(revoked.organization?.deleteTime).toBeUndefined();
    expect((await identity.call(getOrganization, request, { key: secret })).organization?.name).toBe("Kept");
  });

  /** Lets the deletion of seven days ago take effect. */
  async function close(id: OrganizationId): Promise<void> {
    const nowMs = identity.clock.nowMs();
    await identity.database.transaction(async (trx) => {
      await trx("organizations").where("id", uuidToBytes(id)).update({ delete_time_ms: nowMs });
    });
    await untilTrue(async () => (await findOrganization(identity.database.reader, id)) === undefined);
  }

  /** Moves the clock until the condition holds. */
  const untilTrue = (condition: () => Promise<boolean>): Promise<unknown> =>
    waitFor(async () => {
      await identity.clock.advance(500);
      return condition();
    });

  const sweepsOf = async (id: OrganizationId): Promise<number> =>
    (await findClosedOrganization(identity.database.reader, id))?.sweeps ?? 0;

  test("at the end no credential counts, and no data of the organization is left", async () => {
    const mark = "Erased-Corp";
    const { id, secret, owner } = await owned(mark);
    const other = await owned("Neighbor");
    // A member of both organizations.
    const both = await signIn({ organizationId: id, role: "admin" });
    const sessionElsewhere = await signIn({ organizationId: other.id, userId: both.userId, role: "member" });
    const key = { key: secret };
    const scopes = ["events.read"];
    await identity.call(ApiKeyService.method.createApiKey, { name: `${mark} key`, scopes }, key);
    const change = { organizationId: id, organization: { name: `${mark} renamed` } };
    await identity.call(OrganizationService.method.updateOrganization, change, key);
    await identity.database.transaction((trx) => setLastOrganization(trx, both.userId, id));
    const bytes = uuidToBytes(id);
    expect((await findInTables(identity.database, mark)).sort()).toEqual([
      "api_keys.name",
      "organizations.name",
      "outbox_messages.data",
    ]);
    await close(id);
    for (const { token } of [owner, both]) {
      await expectReason(
        identity.call(getOrganization, { organizationId: id }, { key: token }),
        "SESSION_ENDED",
      );
    }
    await expectReason(identity.call(getOrganization, { organizationId: id }, key), "UNAUTHENTICATED");
    const switching = { organizationId: id };
    const elsewhere = { key: sessionElsewhere.token };
    await expectReason(
      identity.call(SessionService.method.switchOrganization, switching, elsewhere),
      "ORGANIZATION_NOT_FOUND",
    );
    const listed = await identity.call(listOrganizations, {}, elsewhere);
    expect(listed.organizations.map(({ name }) => name)).toEqual(["Neighbor"]);
    const me = await identity.call(AccountService.method.getMe, {}, elsewhere);
    expect(me.me?.organizations.map(({ name }) => name)).toEqual(["Neighbor"]);

    await untilTrue(async () => (await sweepsOf(id)) === 1);
    expect(await findInTables(identity.database, mark)).toEqual([]);
    expect(await findInTables(identity.database, bytes)).toEqual([
      "closed_organizations.organization_id",
      "organization_closings.organization_id",
    ]);
    const { user } = await identity.call(UserService.method.getUser, { userId: both.userId }, elsewhere);
    expect(user?.id).toBe(both.userId);
    await identity.database.transaction(async (trx) => {
      await trx("closed_organizations").where("organization_id", bytes).update({ next_sweep_ms: 0 });
    });
    await untilTrue(async () => (await sweepsOf(id)) === 2);
    expect(
      await identity.call(getOrganization, { organizationId: other.id }, { key: other.secret }),
    ).toBeDefined();
  });

  test("a person without an account, removed elsewhere, can be restored there after the end", async () => {
    const [ended, kept] = [await owned("Ended"), await owned("Kept on")];
    const { userId } = await signIn({ organizationId: ended.id, role: "member" });
    await signIn({ organizationId: kept.id, userId, role: "member" });
    await identity.database.transaction(async (trx) => {
      const account = { email_verified: 0, password_hash: null };
      await trx("users").where("id", uuidToBytes(userId)).update(account);
    });
    const as = { key: kept.owner.token };
    await identity.call(UserService.method.deleteUser, { userId }, as);
    await close(ended.id);
    await untilTrue(async () => (await sweepsOf(ended.id)) === 1);
    const { user } = await identity.call(UserService.method.restoreUser, { userId }, as);
    expect(user?.id).toBe(userId);
  });

  test("a deletion that was revoked at the last moment closes nothing", async () => {
    const { id, secret, owner } = await owned("Saved");
    await identity.call(deleteOrganization, { organizationId: id }, { key: owner.token });
    await identity.call(undeleteOrganization, { organizationId: id }, { key: owner.token });
    const parts = { eraser: undefined as never, ...identity, bus: identity.bus, clock: identity.clock };
    await closeOrganization(
      { ...parts, database: identity.database },
      id,
      identity.clock.nowMs() + 8 * DAY_MS,
    );
    expect(
      (await identity.call(getOrganization, { organizationId: id }, { key: secret })).organization?.name,
    ).toBe("Saved");
  });

  test("every table with a column of organizations is erased", async () => {
    const erased = new Set(organizationContent.tables.map(({ table }) => table));
    const stepwise = ["memberships", "sessions", "exports"];
    const records = ["closed_organizations", "organization_closings"];
    for (const [table, columns] of await columnsOf(identity.database)) {
      if (!columns.includes("organization_id")) continue;
      expect([...erased, ...stepwise, ...records], table).toContain(table);
    }
  });
});
