import { hashApiKey, type Role } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { signInUser } from "../signed-in-user.ts";

const { createApiKey, listApiKeys, deleteApiKey, rotateApiKey } = ApiKeyService.method;
const NOT_FOUND = { reason: "API_KEY_NOT_FOUND", row: { http: 404 } };

describe.each(ENGINES)("API keys on %s", (engine) => {
  let identity: IdentityUnderTest;
  let key: string;
  let foreignKey: string;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    foreignKey = (await identity.organization("Other")).secret;
  });
  afterAll(() => identity.close());
  beforeEach(async () => {
    key = (await identity.organization()).secret;
    // Later keys have later times, so the list's order is the order of creation.
    await identity.clock.advance(1);
  });

  async function issue(scopes: string[] = ["api_keys.read"], name = "A key") {
    const { apiKey, secret } = await identity.call(createApiKey, { name, scopes }, { key });
    if (apiKey === undefined) throw new Error("no key");
    return { id: apiKey.id, secret, apiKey };
  }

  async function works(secret: string): Promise<boolean> {
    return identity.call(listApiKeys, {}, { key: secret }).then(
      () => true,
      (error: { reason?: string }) => {
        if (error.reason === "UNAUTHENTICATED") return false;
        throw error;
      },
    );
  }

  async function listed(as = key): Promise<string[]> {
    const { apiKeys } = await identity.call(listApiKeys, { pageSize: 500 }, { key: as });
    return apiKeys.map(({ id }) => id);
  }

  test("a new key works at once, is listed without its secret, and is stored as a hash", async () => {
    const { apiKey, secret, id } = await issue(["api_keys.read"], "Zoë's key ");
    expect(secret).toMatch(/^mk_live_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$/);
    expect(apiKey).toMatchObject({
      name: "Zoë's key ",
      prefix: secret.slice(0, 16),
      scopes: ["api_keys.read"],
    });
    expect(apiKey.expireTime).toBeUndefined();
    expect(await works(secret)).toBe(true);

    const { apiKeys } = await identity.call(listApiKeys, {}, { key });
    expect(apiKeys.map((one) => one.name)).toEqual(["First key", "Zoë's key "]);
    expect(apiKeys[1]).toEqual({ ...apiKey, lastUsedTime: apiKey.createTime });

    const rows = await identity.database.reader("api_keys").select<Record<string, unknown>[]>();
    const stored = rows
      .flatMap((row) => Object.values(row))
      .map(String)
      .join("\n");
    expect(stored).not.toContain(secret.slice(11));
    expect(await listed()).toContain(id);
  });

  test("scopes: those that exist, and no more than the maker's", async () => {
    const create = (scopes: string[], as = key) =>
      identity.call(createApiKey, { name: "x", scopes }, { key: as });
    await expectReason(create(["events.read", "events.fly", "nonsense"]), "FIELD_INVALID", {
      fields: [{ field: "scopes[1]" }, { field: "scopes[2]" }],
    });
    await expectReason(create([]), "FIELD_INVALID", { fields: [{ field: "scopes" }] });

    const { secret: lesser } = await issue(["api_keys.write", "events.read"]);
    await expectReason(create(["events.read", "segments.read"], lesser), "PERMISSION_DENIED", {
      details: { missing_scopes: "segments.read" },
    });
    await expectReason(create(["*"], lesser), "PERMISSION_DENIED");
    const { secret: child } = await create(["events.read"], lesser);
    expect(child).not.toBe("");
    await expectReason(identity.call(listApiKeys, {}, { key: child }), "PERMISSION_DENIED");
  });

  test("a user gives a key the scopes of the own role, and needs a recent password", async () => {
    const organizationId = (await identity.organization("Of users")).organizationId as OrganizationId;
    const { database, accessTokens, clock } = identity;
    const signIn = async (role: Role, authenticatedTimeMs: number | undefined = clock.nowMs()) => {
      const times = { nowMs: clock.nowMs(), authenticatedTimeMs };
      return (await signInUser({ database, accessTokens, ...times, organizationId, role })).token;
    };
    const create = async (scopes: string[], role: Role, authenticatedTimeMs?: number) => {
      const as = await signIn(role, authenticatedTimeMs);
      return identity.call(createApiKey, { name: "By a user", scopes }, { key: as });
    };
    const all = await create(["*"], "owner");
    expect(all.apiKey?.scopes).toEqual(["*"]);
    expect((await create(["organizations.delete"], "owner")).secret).not.toBe("");
    expect((await create(["webhooks.write", "tracking.write"], "admin")).secret).not.toBe("");
    for (const scope of ["*", "audit.read", "organizations.delete"]) {
      await expectReason(create([scope], "admin"), "PERMISSION_DENIED", {
        details: { missing_scopes: scope },
      });
    }
    const apiKeyId = all.apiKey?.id ?? "";
    const rotation = identity.call(rotateApiKey, { apiKeyId }, { key: await signIn("admin") });
    await expectReason(rotation, "PERMISSION_DENIED", { details: { missing_scopes: "*" } });

    const elevenMinutesAgo = clock.nowMs() - 660_000;
    await expectReason(create(["events.read"], "owner", elevenMinutesAgo), "STEP_UP_REQUIRED", {
      details: { methods: "password" },
    });
    const owner = await signIn("owner", elevenMinutesAgo);
    await expectReason(identity.call(rotateApiKey, { apiKeyId }, { key: owner }), "STEP_UP_REQUIRED");
    await identity.call(deleteApiKey, { apiKeyId }, { key: owner });
  });

  test("a key with a scope of an older version, which is no permission any more, rotates", async () => {
    const { id } = await issue(["events.read"]);
    const scopes = JSON.stringify(["events.read", "organizations.create"]);
    await identity.database.transaction(
      async (trx) => void (await trx("api_keys").where("id", uuidToBytes(id)).update({ scopes })),
    );
    const { apiKey } = await identity.call(rotateApiKey, { apiKeyId: id }, { key });
    expect(apiKey?.scopes).toEqual(["events.read", "organizations.create"]);
  });

  test("bad requests name the field and leave nothing", async () => {
    const { id } = await issue();
    const before = await identity.rowCounts();
    const cases = [
      { call: () => identity.call(createApiKey, { name: "", scopes: ["*"] }, { key }), field: "name" },
      {
        call: () => identity.call(createApiKey, { name: "é".repeat(128), scopes: ["*"] }, { key }),
        field: "name",
      },
      {
        call: () => identity.call(createApiKey, { name: "x", scopes: ["*", "*"] }, { key }),
        field: "scopes",
      },
      {
        call: () => identity.call(createApiKey, { name: "x", scopes: [`a${"b".repeat(64)}`] }, { key }),
        field: "scopes[0]",
      },
      { call: () => identity.call(listApiKeys, { pageSize: 501 }, { key }), field: "page_size" },
      { call: () => identity.call(listApiKeys, { pageSize: -1 }, { key }), field: "page_size" },
      {
        call: () => identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: -1 }, { key }),
        field: "overlap_seconds",
      },
      {
        call: () => identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 2_592_001 }, { key }),
        field: "overlap_seconds",
      },
    ];
    for (const { call, field } of cases) {
      await expect(call(), field).rejects.toMatchObject({ reason: "FIELD_INVALID", fields: [{ field }] });
    }
    expect(await identity.rowCounts()).toEqual(before);
  });

  test("what is no id of a key here is not found", async () => {
    const ids = [
      "",
      "nonsense",
      "0190A5B4-0000-7000-8000-000000000001",
      "0190a5b4-0000-7000-8000-000000000001",
    ];
    for (const apiKeyId of ids) {
      await expect(identity.call(deleteApiKey, { apiKeyId }, { key }), apiKeyId).rejects.toMatchObject(
        NOT_FOUND,
      );
      await expect(identity.call(rotateApiKey, { apiKeyId }, { key }), apiKeyId).rejects.toMatchObject(
        NOT_FOUND,
      );
    }
  });

  test("another organization's key can be neither seen, deleted nor rotated", async () => {
    const { id, secret } = await issue();
    expect(await listed(foreignKey)).not.toContain(id);
    await expect(identity.call(deleteApiKey, { apiKeyId: id }, { key: foreignKey })).rejects.toMatchObject(
      NOT_FOUND,
    );
    await expect(
      identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 60 }, { key: foreignKey }),
    ).rejects.toMatchObject(NOT_FOUND);
    expect(await works(secret)).toBe(true);
    expect(await listed()).toContain(id);
  });

  test("a deleted key ends at once, though it was cached a moment ago", async () => {
    const { id, secret } = await issue();
    expect(await works(secret)).toBe(true);
    await identity.call(deleteApiKey, { apiKeyId: id }, { key });
    expect(await works(secret)).toBe(false);
    expect(await listed()).not.toContain(id);
    await expect(identity.call(deleteApiKey, { apiKeyId: id }, { key })).rejects.toMatchObject(NOT_FOUND);
  });

  test("a key may delete itself", async () => {
    const { id, secret } = await issue(["api_keys.write"]);
    await identity.call(deleteApiKey, { apiKeyId: id }, { key: secret });
    await expectReason(identity.call(deleteApiKey, { apiKeyId: id }, { key: secret }), "UNAUTHENTICATED");
  });

  test("of ten deletions of one key at once, one finds it", async () => {
    const { id } = await issue();
    const ended = await Promise.allSettled(
      Array.from({ length: 10 }, () => identity.call(deleteApiKey, { apiKeyId: id }, { key })),
    );
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of ended) if (one.status === "rejected") expect(one.reason).toMatchObject(NOT_FOUND);
  });

  test("rotation without overlap: the new key works, the old one has ended", async () => {
    const { id, secret, apiKey } = await issue(["api_keys.read", "events.read"], "Rotated");
    expect(await works(secret)).toBe(true);
    const successor = await identity.call(rotateApiKey, { apiKeyId: id }, { key });
    expect(successor.apiKey).toMatchObject({ name: "Rotated", scopes: apiKey.scopes });
    expect(successor.apiKey?.id).not.toBe(id);
    expect(await works(secret)).toBe(false);
    expect(await works(successor.secret)).toBe(true);
    expect(await listed()).not.toContain(id);
    await expect(identity.call(rotateApiKey, { apiKeyId: id }, { key })).rejects.toMatchObject(NOT_FOUND);
  });

  test("rotation with overlap: both work until its last millisecond, cached or not", async () => {
    const { id, secret } = await issue();
    expect(await works(secret)).toBe(true);
    const endMs = identity.clock.nowMs() + 90_000;
    const successor = await identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 90 }, { key });
    const { apiKeys } = await identity.call(listApiKeys, {}, { key });
    const old = apiKeys.find((one) => one.id === id);
    expect(Number(old?.expireTime?.seconds) * 1_000 + (old?.expireTime?.nanos ?? 0) / 1e6).toBe(endMs);

    await identity.clock.advance(89_999);
    expect(await works(secret)).toBe(true);
    expect(await listed()).toContain(id);
    await identity.clock.advance(1);
    expect(await works(secret)).toBe(false);
    expect(await works(successor.secret)).toBe(true);
    expect(await listed()).not.toContain(id);
    await expect(identity.call(deleteApiKey, { apiKeyId: id }, { key })).rejects.toMatchObject(NOT_FOUND);
  });

  test.each([0, 60])("of ten rotations at once (overlap %i s) one wins", async (overlapSeconds) => {
    const { id } = await issue();
    const before = await listed();
    const ended = await Promise.allSettled(
      Array.from({ length: 10 }, () =>
        identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds }, { key }),
      ),
    );
    expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const reason = overlapSeconds === 0 ? "API_KEY_NOT_FOUND" : "API_KEY_ROTATED";
    for (const one of ended) if (one.status === "rejected") expect(one.reason).toMatchObject({ reason });
    expect(await listed()).toHaveLength(before.length + (overlapSeconds === 0 ? 0 : 1));
  });

  test("rotating gives nobody a key that may do more than they", async () => {
    const { secret: lesser } = await issue(["api_keys.write"]);
    const { apiKeys } = await identity.call(listApiKeys, {}, { key });
    const first = apiKeys[0]?.id ?? "";
    await expectReason(
      identity.call(rotateApiKey, { apiKeyId: first, overlapSeconds: 60 }, { key: lesser }),
      "PERMISSION_DENIED",
      { details: { missing_scopes: "*" } },
    );
    expect(await works(key)).toBe(true);
  });

  test("a key that rotates itself without overlap gets its successor and ends", async () => {
    const { id, secret } = await issue(["api_keys.write", "api_keys.read"]);
    const successor = await identity.call(rotateApiKey, { apiKeyId: id }, { key: secret });
    expect(await works(secret)).toBe(false);
    expect(await works(successor.secret)).toBe(true);
  });

  test("pages walk every key once, oldest first, while others come and go", async () => {
    const made: string[] = [await listed().then(([first]) => first ?? "")];
    for (let index = 0; index < 7; index += 1) {
      // Three keys share a millisecond: the id breaks the tie.
      if (index % 3 === 0) await identity.clock.advance(1);
      made.push((await issue()).id);
    }
    const seen: string[] = [];
    let pageToken = "";
    let removed = "";
    do {
      const page = await identity.call(listApiKeys, { pageSize: 3, pageToken }, { key });
      seen.push(...page.apiKeys.map(({ id }) => id));
      pageToken = page.nextPageToken;
      if (removed === "") {
        removed = seen[0] === made[0] ? (seen[1] ?? "") : (seen[0] ?? "");
        await identity.call(deleteApiKey, { apiKeyId: removed }, { key });
        await identity.clock.advance(1);
        await issue();
      }
    } while (pageToken !== "");
    expect(seen.slice(0, 8).sort()).toEqual(made.sort());
    expect(new Set(seen).size).toBe(seen.length);
  });

  test("a page token of another list, organization or making is refused", async () => {
    for (let index = 0; index < 2; index += 1) await issue();
    const { nextPageToken } = await identity.call(listApiKeys, { pageSize: 1 }, { key });
    expect(nextPageToken).not.toBe("");
    const refused = { reason: "PAGE_TOKEN_INVALID", row: { http: 400 } };
    const garbled = `${nextPageToken.slice(0, -2)}${nextPageToken.endsWith("AA") ? "BB" : "AA"}`;
    const list = (pageToken: string, as: string) => identity.call(listApiKeys, { pageToken }, { key: as });
    await expect(list(nextPageToken, foreignKey)).rejects.toMatchObject(refused);
    for (const token of [garbled, "x", "AAAA", `${nextPageToken}=`]) {
      await expect(list(token, key), token).rejects.toMatchObject(refused);
    }
    const { listOrganizations } = OrganizationService.method;
    await expect(
      identity.call(listOrganizations, { pageToken: nextPageToken }, { key }),
    ).rejects.toMatchObject(refused);
  });

  test("the same idempotency key makes one API key, and shows its secret again", async () => {
    const as = { key, idempotencyKey: "once" };
    const request = { name: "Once", scopes: ["*"] };
    const first = await identity.call(createApiKey, request, as);
    const second = await identity.call(createApiKey, request, as);
    expect(second).toEqual(first);
    expect(await listed()).toHaveLength(2);
    await expectReason(
      identity.call(createApiKey, { ...request, name: "Twice" }, as),
      "IDEMPOTENCY_KEY_REUSED",
    );
    const rows = await identity.database
      .reader("idempotency_keys")
      .select<{ response: Buffer | null }[]>("response");
    expect(rows.length).toBeGreaterThan(0);
    for (const { response } of rows) expect(response?.includes(first.secret) ?? false).toBe(false);

    const rotated = { key, idempotencyKey: "rotate" };
    const apiKeyId = first.apiKey?.id ?? "";
    const successor = await identity.call(rotateApiKey, { apiKeyId }, rotated);
    expect(await identity.call(rotateApiKey, { apiKeyId }, rotated)).toEqual(successor);
  });

  test("of ten requests under one idempotency key at once, one makes a key", async () => {
    const as = { key, idempotencyKey: "burst" };
    const request = { name: "Burst", scopes: ["events.read"] };
    const responses = await Promise.allSettled(
      Array.from({ length: 10 }, () => identity.call(createApiKey, request, as)),
    );
    expect(responses.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const one of responses) {
      if (one.status === "rejected") expect(one.reason).toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
    }
    expect(await listed()).toHaveLength(2);
  });

  test("other services get the owner of a key's hash, and nothing for an ended key", async () => {
    const { verifyApiKey } = CredentialService.method;
    const { id, secret, apiKey } = await issue(["events.write"]);
    const keyHash = hashApiKey(secret);
    const as = { service: "events" };
    const found = await identity.call(verifyApiKey, { keyHash }, as);
    expect(Buffer.from(found.apiKeyId).toString("hex")).toBe(id.replaceAll("-", ""));
    expect(found.scopes).toEqual(apiKey.scopes);
    expect(found.expireTimeMs).toBe(0n);

    const endMs = identity.clock.nowMs() + 1_000;
    await identity.call(rotateApiKey, { apiKeyId: id, overlapSeconds: 1 }, { key }).catch(() => undefined);
    const ending = await identity.call(verifyApiKey, { keyHash }, as);
    expect(ending.expireTimeMs).toBe(BigInt(endMs));
    await identity.clock.advance(1_000);
    await expectReason(identity.call(verifyApiKey, { keyHash }, as), "UNAUTHENTICATED", {
      details: { credential: "api_key" },
    });
    await expectReason(identity.call(verifyApiKey, { keyHash: new Uint8Array(31) }, as), "FIELD_INVALID", {
      fields: [{ field: "key_hash" }],
    });
  });
});
