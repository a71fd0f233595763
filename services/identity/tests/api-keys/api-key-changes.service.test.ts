// Tests changes of API keys: name, scopes, end and rank; the last use; and the keys of a member who is removed.
import { randomUUID } from "node:crypto";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { hashApiKey, type Role } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  KEYS_AT_ONCE,
  MoreKeys,
  revokeKeysOf,
  revokeSomeKeysOf,
} from "../../src/api-key-calls/revoke-keys-of.ts";
import { forgetMaker } from "../../src/api-keys/api-key-store.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { type SignedInUser, signInUser } from "../signed-in-user.ts";

const { createApiKey, listApiKeys, rotateApiKey, updateApiKey } = ApiKeyService.method;
const { verifyApiKey } = CredentialService.method;
const { createInvitation, listInvitations } = InvitationService.method;
const { deleteUser } = UserService.method;

describe.each(ENGINES)("changes of API keys on %s", (engine) => {
  let identity: IdentityUnderTest;
  let organizationId: OrganizationId;
  let owner: SignedInUser;
  let admin: SignedInUser;
  let asOwner: { readonly key: string };
  let asAdmin: { readonly key: string };

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
  });
  afterAll(() => identity.close());
  beforeEach(async () => {
    organizationId = (await identity.organization()).organizationId as OrganizationId;
    owner = await signIn("owner");
    admin = await signIn("admin");
    asOwner = { key: owner.token };
    asAdmin = { key: admin.token };
    await identity.clock.advance(1);
  });

  function signIn(role: Role): Promise<SignedInUser> {
    const { database, accessTokens, clock } = identity;
    const nowMs = clock.nowMs();
    return signInUser({ database, accessTokens, nowMs, authenticatedTimeMs: nowMs, organizationId, role });
  }

  async function issue(request: object = {}, as = asOwner) {
    const wanted = { name: "A key", scopes: ["api_keys.read"], ...request };
    const { apiKey, secret } = await identity.call(createApiKey, wanted, as);
    if (apiKey === undefined) throw new Error("no key");
    return { id: apiKey.id, secret, apiKey };
  }

  const update = (apiKeyId: string, apiKey: object, as = asOwner, paths: string[] = []) =>
    identity.call(updateApiKey, { apiKeyId, apiKey, updateMask: { paths } }, as);
  const listed = async (request: object = {}) =>
    (await identity.call(listApiKeys, request, asOwner)).apiKeys.map(({ id }) => id);
  const outcome = (secret: string): Promise<string> =>
    identity.call(listApiKeys, {}, { key: secret }).then(
      () => "works",
      ({ reason }: { readonly reason: string }) => reason,
    );
  const later = (ms: number): Timestamp => timestampFromMs(identity.clock.nowMs() + ms);

  test("a key ends at its time, to the millisecond, also where it was verified before", async () => {
    const { secret, apiKey } = await issue({ expireTime: later(30_000) });
    expect(timestampMs(apiKey.expireTime as Timestamp)).toBe(identity.clock.nowMs() + 30_000);
    expect(await outcome(secret)).toBe("works");
    await identity.clock.advance(29_999);
    expect(await outcome(secret)).toBe("works");
    await identity.clock.advance(1);
    expect(await outcome(secret)).toBe("UNAUTHENTICATED");
    expect(await listed()).not.toContain(apiKey.id);
    await expectReason(update(apiKey.id, { name: "Late" }), "API_KEY_NOT_FOUND");
    await expectReason(issue({ expireTime: later(0) }), "FIELD_INVALID", {
      fields: [{ field: "expire_time" }],
    });
  });

  test("name, scopes and end change at once, and only what the mask names", async () => {
    const { id, secret } = await issue();
    const { apiKey } = await update(id, { name: "Renamed", expireTime: later(60_000) });
    expect(apiKey).toMatchObject({ id, name: "Renamed", scopes: ["api_keys.read"] });
    expect((await identity.call(listApiKeys, {}, asOwner)).apiKeys).toContainEqual(apiKey);
    expect(await outcome(secret)).toBe("works");
    await update(id, { scopes: ["events.read"] });
    expect(await outcome(secret)).toBe("PERMISSION_DENIED");
    await update(id, { expireTime: later(1) });
    await identity.clock.advance(1);
    expect(await outcome(secret)).toBe("UNAUTHENTICATED");
    const other = await issue({ expireTime: later(1_000) });
    expect((await update(other.id, {}, asOwner, ["expire_time"])).apiKey?.expireTime).toBeUndefined();
    await identity.clock.advance(1_000);
    expect(await outcome(other.secret)).toBe("works");
  });

  test("a change is refused with the field, and gives nobody more than they hold", async () => {
    const { id } = await issue();
    const refused = (changes: object, field: string, paths: string[] = []) =>
      expectReason(update(id, changes, asOwner, paths), "FIELD_INVALID", { fields: [{ field }] });
    await refused({ name: "" }, "api_key.name");
    await refused({}, "api_key.name", ["name"]);
    await refused({}, "api_key.scopes", ["scopes"]);
    await refused({ scopes: ["events.fly"] }, "api_key.scopes[0]");
    await refused({ expireTime: later(0) }, "api_key.expire_time");
    await refused({ grantUpTo: RoleMessage.OWNER }, "api_key.grant_up_to");
    await refused({ grantUpTo: RoleMessage.AUDITOR }, "api_key.grant_up_to");
    await refused({}, "update_mask", ["key_hash"]);
    await expectReason(update(id, { scopes: ["*"] }, asAdmin), "PERMISSION_DENIED");
    const foreign = { key: (await identity.organization("Other")).secret };
    await expectReason(update(id, { name: "Taken" }, foreign), "API_KEY_NOT_FOUND");
    await identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 60 }, asOwner);
    await expectReason(update(id, { name: "Old" }), "API_KEY_ROTATED");
  });

  test("a rotation keeps the end and the rank, and never prolongs the old key", async () => {
    const expireTime = later(30_000);
    const { id } = await issue({ expireTime, grantUpTo: RoleMessage.ADMIN });
    const { apiKey } = await identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 60 }, asOwner);
    expect(apiKey).toMatchObject({ expireTime, grantUpTo: RoleMessage.ADMIN });
    const { apiKeys } = await identity.call(listApiKeys, {}, asOwner);
    expect(apiKeys.find((key) => key.id === id)?.expireTime).toEqual(expireTime);
  });

  test("only an owner raises a key, which then grants roles up to admin", async () => {
    const email = () => `${randomUUID()}@example.com`;
    const scopes = ["users.invite", "api_keys.write"];
    const { id, secret } = await issue({ scopes }, asAdmin);
    const invite = (role: RoleMessage, key = secret) =>
      identity.call(createInvitation, { email: email(), role }, { key });
    await expectReason(invite(RoleMessage.ADMIN), "PERMISSION_DENIED");
    await expectReason(issue({ grantUpTo: RoleMessage.MEMBER }, asAdmin), "PERMISSION_DENIED");
    await expectReason(update(id, { grantUpTo: RoleMessage.ADMIN }, asAdmin), "PERMISSION_DENIED");
    await expectReason(update(id, { grantUpTo: RoleMessage.ADMIN }, { key: secret }), "PERMISSION_DENIED");
    await update(id, { grantUpTo: RoleMessage.ADMIN });
    await invite(RoleMessage.ADMIN);
    await expectReason(invite(RoleMessage.OWNER), "PERMISSION_DENIED");
    const found = await identity.call(verifyApiKey, { keyHash: hashApiKey(secret) }, { service: "events" });
    expect(found.grantUpTo).toBe(RoleMessage.ADMIN);
    // A key that ranks as a member cannot get hold of the secret of a raised one.
    const plain = await issue({ scopes });
    const theft = identity.call(rotateApiKey, { apiKeyId: id }, { key: plain.secret });
    await expectReason(theft, "PERMISSION_DENIED");
    await update(id, {}, asOwner, ["grant_up_to"]);
    await expectReason(invite(RoleMessage.ADMIN), "PERMISSION_DENIED");
    await update(id, { scopes: ["events.read"] });
    const { invitations } = await identity.call(listInvitations, {}, asOwner);
    const ends = invitations.map(({ expireTime }) => timestampMs(expireTime as Timestamp));
    expect(ends.map((endMs) => endMs <= identity.clock.nowMs())).toEqual([true]);
  });

  test("the list names the maker and the last use, which is saved once a minute", async () => {
    const { id, secret } = await issue({}, asAdmin);
    const byOwner = await issue();
    expect(await listed({ createdBy: admin.userId })).toEqual([id]);
    expect(await listed({ createdBy: owner.userId })).toEqual([byOwner.id]);
    await expectReason(listed({ createdBy: "ada" }), "FIELD_INVALID", { fields: [{ field: "created_by" }] });
    const found = async () =>
      (await identity.call(listApiKeys, {}, asOwner)).apiKeys.find((key) => key.id === id);
    expect(await found()).toMatchObject({ createdBy: admin.userId });
    expect((await found())?.lastUsedTime).toBeUndefined();
    const used = timestampFromMs(identity.clock.nowMs());
    await outcome(secret);
    expect((await found())?.lastUsedTime).toEqual(used);
    const look = () => identity.call(verifyApiKey, { keyHash: hashApiKey(secret) }, { service: "events" });
    await identity.clock.advance(59_999);
    await look();
    expect((await found())?.lastUsedTime).toEqual(used);
    await identity.clock.advance(1);
    await look();
    expect((await found())?.lastUsedTime).toEqual(timestampFromMs(identity.clock.nowMs()));
  });

  test("a key that is made or rotated by a key has the maker of that key", async () => {
    const scopes = ["api_keys.read", "api_keys.write"];
    const { id, secret } = await issue({ scopes }, asAdmin);
    const made = await issue({}, { key: secret });
    expect(made.apiKey.createdBy).toBe(admin.userId);
    await identity.clock.advance(1);
    const { apiKey } = await identity.call(rotateApiKey, { apiKeyId: id }, { key: secret });
    expect(apiKey?.createdBy).toBe(admin.userId);
    expect(await listed({ createdBy: admin.userId })).toEqual([made.id, apiKey?.id]);
    const byOwner = await identity.call(rotateApiKey, { apiKeyId: made.id }, asOwner);
    expect(byOwner.apiKey?.createdBy).toBe(owner.userId);
  });

  test("nobody prolongs a key that may do more than they", async () => {
    const { id } = await issue({ scopes: ["events.read"], expireTime: later(1_000) });
    const { secret } = await issue({ scopes: ["api_keys.write"] });
    await expectReason(update(id, {}, { key: secret }, ["expire_time"]), "PERMISSION_DENIED", {
      details: { missing_scopes: "events.read" },
    });
  });

  test("keys survive their maker, unless the removal revokes them", async () => {
    const [first, second] = [await signIn("admin"), await signIn("admin")];
    const kept = await issue({}, { key: first.token });
    const ended = await issue({}, { key: second.token });
    const lesser = await issue({ scopes: ["users.delete"] });
    const remove = (user: SignedInUser, revokeApiKeys: boolean, as = asOwner) =>
      identity.call(deleteUser, { userId: user.userId, revokeApiKeys }, as);
    await expectReason(remove(second, true, { key: lesser.secret }), "PERMISSION_DENIED", {
      details: { permission: "api_keys.write" },
    });
    expect(await outcome(ended.secret)).toBe("works");
    await remove(first, false);
    await remove(second, true);
    expect(await outcome(kept.secret)).toBe("works");
    expect(await outcome(ended.secret)).toBe("UNAUTHENTICATED");
    expect(await listed()).toEqual(expect.arrayContaining([kept.id, lesser.id]));
    expect(await listed({ createdBy: second.userId })).toEqual([]);
    await identity.database.transaction((trx) => forgetMaker(trx, first.userId as UserId));
    expect(await listed({ createdBy: first.userId })).toEqual([]);
    expect(await outcome(kept.secret)).toBe("works");
  });

  test("a transaction ends a bounded number of keys, the oldest first", async () => {
    const ids: string[] = [];
    for (let made = 0; made <= KEYS_AT_ONCE; made += 1) ids.push((await issue({}, asAdmin)).id);
    // Keys of the same millisecond are in the order of their ids.
    ids.sort();
    const keys = { organizationId, createdBy: admin.userId as UserId };
    const write = { publish: () => {} };
    const { database } = identity;
    const every = database.transaction((trx) => revokeKeysOf(trx, write, keys, 0));
    await expect(every).rejects.toBeInstanceOf(MoreKeys);
    expect(await listed({ createdBy: admin.userId, pageSize: 500 })).toHaveLength(KEYS_AT_ONCE + 1);
    const first = await database.transaction((trx) => revokeSomeKeysOf(trx, write, keys, 0));
    expect(first).toEqual(ids.slice(0, KEYS_AT_ONCE));
    const last = await database.transaction((trx) => revokeKeysOf(trx, write, keys, 0));
    expect(last).toEqual(ids.slice(KEYS_AT_ONCE));
  });

  test("a removal ends more keys than a transaction does, and none when it is refused", async () => {
    const secrets: string[] = [];
    for (let made = 0; made < 2 * KEYS_AT_ONCE + 1; made += 1) {
      secrets.push((await issue({}, { key: owner.token })).secret);
    }
    const byAdmin = await issue({ scopes: ["users.delete", "api_keys.write"] }, asAdmin);
    const remove = (as: { readonly key: string }) =>
      identity.call(deleteUser, { userId: owner.userId, revokeApiKeys: true }, as);
    await expectReason(remove(asOwner), "LAST_OWNER");
    await expectReason(remove({ key: byAdmin.secret }), "PERMISSION_DENIED");
    for (const secret of [secrets[0], secrets.at(-1)]) expect(await outcome(secret ?? "")).toBe("works");
    const successor = await signIn("owner");
    await identity.publishedSince();
    await remove({ key: successor.token });
    for (const secret of secrets) expect(await outcome(secret)).toBe("UNAUTHENTICATED");
    expect(await outcome(byAdmin.secret)).not.toBe("UNAUTHENTICATED");
    const types = (await identity.publishedSince()).map(({ type }) => type);
    expect(types.filter((type) => type.includes("api_key.revoked"))).toHaveLength(secrets.length);
    expect(types.filter((type) => type.includes("user.deleted"))).toHaveLength(1);
  });

  test("no key of a removed maker is alive, whoever was making keys at the time", async () => {
    const maker = await signIn("admin");
    const scopes = ["api_keys.read", "api_keys.write"];
    const first = await issue({ scopes }, { key: maker.token });
    const making = Array.from({ length: 10 }, (_, index) =>
      issue({}, { key: index % 2 === 0 ? maker.token : first.secret }).catch((error: unknown) => {
        expect((error as { reason: string }).reason).toMatch(/^(SESSION_ENDED|UNAUTHENTICATED)$/);
      }),
    );
    await identity.call(deleteUser, { userId: maker.userId, revokeApiKeys: true }, asOwner);
    const rotated = await identity
      .call(rotateApiKey, { apiKeyId: first.id }, { key: first.secret })
      .catch(() => undefined);
    expect(rotated).toBeUndefined();
    for (const made of await Promise.all(making)) {
      if (made !== undefined) expect(await outcome(made.secret)).toBe("UNAUTHENTICATED");
    }
    expect(await listed({ createdBy: maker.userId })).toEqual([]);
  });
});
