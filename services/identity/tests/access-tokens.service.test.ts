// Tests access tokens at identity and at other services: the caller that a token means, and the ends of a token.
import { CachingCredentialVerifier, type Role, remoteCredentials } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type OrganizationId, randomIds, systemClock, uuidToBytes } from "@muster/core";
import { createLogger } from "@muster/log";
import { createClient, withServiceToken } from "@muster/rpc";
import { expectReason } from "@muster/testkit/module";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { announceRevocations } from "../src/revocation/announce-revocations.ts";
import { countRevocations } from "../src/revocation/revocation-count-store.ts";
import { endSessions } from "../src/sessions/session-store.ts";
import { rotateSigningKey } from "../src/signing-keys/rotate-signing-key.ts";
import { IdentityUnderTest } from "./identity-under-test.ts";
import { type SignedInOptions, type SignedInUser, signInUser } from "./signed-in-user.ts";

const log = createLogger({ level: "silent" });
const { listApiKeys } = ApiKeyService.method;

let identity: IdentityUnderTest;
/** Verifies as a process of events does. */
let events: CachingCredentialVerifier;
let organizationId: OrganizationId;

beforeEach(async () => {
  identity = await IdentityUnderTest.open("sqlite");
  organizationId = (await identity.organization()).organizationId as OrganizationId;
  const caller = withServiceToken(identity.dispatcher, identity.tokensOf("events"));
  const client = createClient(CredentialService, caller);
  events = new CachingCredentialVerifier({
    lookups: remoteCredentials(client, identity.clock),
    clock: identity.clock,
    broadcasts: identity.bus,
    log,
  });
});
afterEach(async () => {
  events.close();
  await identity.close();
});

function signIn(more: Partial<SignedInOptions> = {}): Promise<SignedInUser> {
  const { database, accessTokens } = identity;
  return signInUser({ database, accessTokens, nowMs: identity.clock.nowMs(), organizationId, ...more });
}

const call = (token: string) => identity.call(listApiKeys, {}, { key: token });

/** Ends a session as every path does: counted in the same transaction, announced after the commit. */
async function end({ userId, sessionId }: SignedInUser, isAnnounced = true): Promise<void> {
  const revocations = await identity.database.transaction(async (trx) => {
    const ended = await endSessions(trx, { userId, sessionId }, identity.clock.nowMs());
    return countRevocations(
      trx,
      ended.map((id) => ({ credentialId: id, hasEnded: true })),
    );
  });
  if (isAnnounced) await announceRevocations(identity, revocations);
}

/** Announces that the user changed, after a change of the rows. */
async function change({ userId }: SignedInUser, table: string, row: object): Promise<void> {
  const revocations = await identity.database.transaction(async (trx) => {
    const column = table === "users" ? "id" : "user_id";
    const rows = trx(table).where(column, uuidToBytes(userId));
    await (Object.keys(row).length === 0 ? rows.delete() : rows.update(row));
    return countRevocations(trx, [{ credentialId: userId, hasEnded: false }]);
  });
  await announceRevocations(identity, revocations);
}

async function expectEnded(token: string): Promise<void> {
  await expectReason(call(token), "SESSION_ENDED", { row: { http: 401 } });
  await expectReason(events.verify(token), "SESSION_ENDED");
}

async function expectUnknown(token: string): Promise<void> {
  await expectReason(call(token), "UNAUTHENTICATED");
  expect(await events.verify(token)).toBeUndefined();
}

describe("a token", () => {
  test("is the same user at identity and at another service", async () => {
    const authenticatedTimeMs = identity.clock.nowMs() - 1_000;
    const { token, userId, sessionId } = await signIn({ role: "auditor", authenticatedTimeMs });
    expect((await call(token)).apiKeys).toHaveLength(1);
    expect(await events.verify(token)).toMatchObject({
      kind: "user",
      id: userId,
      sessionId,
      organizationId,
      role: "auditor",
      authenticatedMs: authenticatedTimeMs,
      stepUpMethods: ["password"],
      needsSecondFactor: false,
    });
  });

  test.each<[Role, boolean]>([
    ["owner", true],
    ["admin", true],
    ["member", false],
    ["auditor", true],
  ])("of role %s has the permissions of the role", async (role, mayList) => {
    const { token } = await signIn({ role });
    const listed = call(token).then(
      () => true,
      () => false,
    );
    expect(await listed).toBe(mayList);
    expect((await events.verify(token))?.permissions.has("api_keys.read")).toBe(mayList);
  });

  test("without an organization is a user without permissions", async () => {
    const { token } = await signIn({ organizationId: undefined });
    await expectReason(call(token), "ORGANIZATION_REQUIRED");
    expect(await events.verify(token)).toMatchObject({ organizationId: undefined, role: undefined });
  });

  test("of the session's organization alone is accepted", async () => {
    const { userId, sessionId } = await signIn({ role: "owner" });
    const nowMs = identity.clock.nowMs();
    for (const other of [randomIds.next<OrganizationId>(nowMs), undefined]) {
      const claims = { userId, sessionId, organizationId: other, nowMs };
      await expectUnknown(await identity.accessTokens.sign(claims));
    }
  });

  test("of another installation is refused, although its session exists here", async () => {
    const foreign = await IdentityUnderTest.open("sqlite");
    const { userId, sessionId } = await signIn({ role: "owner" });
    const nowMs = identity.clock.nowMs();
    await expectUnknown(await foreign.accessTokens.sign({ userId, sessionId, organizationId, nowMs }));
    await foreign.close();
  });

  test("whose user has changed the role has the new role at once", async () => {
    const user = await signIn({ role: "owner" });
    expect(await events.verify(user.token)).toMatchObject({ role: "owner" });
    await change(user, "memberships", { role: Buffer.from("member") });
    await expectReason(call(user.token), "PERMISSION_DENIED");
    expect(await events.verify(user.token)).toMatchObject({ role: "member" });
  });
});

describe("a session has ended", () => {
  test("when it was ended, cached or not, and only that session", async () => {
    const user = await signIn({ role: "owner" });
    const { token: other } = await signIn({ role: "owner" });
    await call(user.token);
    await events.verify(user.token);
    await end(user);
    await expectEnded(user.token);
    const { sessionId, userId } = user;
    const nowMs = identity.clock.nowMs();
    await expectEnded(await identity.accessTokens.sign({ sessionId, userId, organizationId, nowMs }));
    await call(other);
    expect(await events.verify(other)).toBeDefined();
  });

  test.each<[string, string, object]>([
    ["the membership is suspended", "memberships", { status: Buffer.from("suspended") }],
    ["the membership is gone", "memberships", {}],
    ["the user is gone", "users", {}],
  ])("when %s", async (_, table, row) => {
    const user = await signIn({ role: "owner" });
    await call(user.token);
    expect(await events.verify(user.token)).toBeDefined();
    await change(user, table, row);
    await expectEnded(user.token);
  });

  test("when it has expired", async () => {
    const { token } = await signIn({ role: "owner", expireTimeMs: identity.clock.nowMs() + 60_000 });
    await call(token);
    expect(await events.verify(token)).toBeDefined();
    await identity.clock.advance(60_000);
    await expectEnded(token);
  });

  test("within a second, also if the process died before the announcement", async () => {
    const user = await signIn({ role: "owner" });
    await identity.clock.advance(1_000);
    expect(await events.verify(user.token)).toBeDefined();
    await end(user, false);
    // In steps, because the worker reads the database between two sleeps.
    for (let step = 0; step < 20; step += 1) {
      await identity.clock.advance(50);
      await systemClock.sleep(5);
    }
    await expectEnded(user.token);
  });
});

test("a withdrawn signing key ends its tokens everywhere, and the session goes on with a new token", async () => {
  const user = await signIn({ role: "owner" });
  await call(user.token);
  const verified = await events.verify(user.token);
  if (verified?.kind !== "user") throw new Error("no user");
  const rotated = await rotateSigningKey(identity.signingKeys, verified.signingKeyId);
  await announceRevocations(identity, rotated?.revocations ?? []);
  await expectUnknown(user.token);
  const { userId, sessionId } = user;
  await identity.clock.advance(1_000);
  const nowMs = identity.clock.nowMs();
  const token = await identity.accessTokens.sign({ userId, sessionId, organizationId, nowMs });
  await call(token);
  expect(await events.verify(token)).toMatchObject({ signingKeyId: rotated?.id });
});

test("only services learn about sessions", async () => {
  const { sessionId } = await signIn();
  const request = { sessionId: uuidToBytes(sessionId), signingKeyId: Buffer.alloc(16) };
  const { verifySession } = CredentialService.method;
  await expectReason(identity.call(verifySession, request), "UNAUTHENTICATED");
  const { token } = await signIn({ role: "owner" });
  await expectReason(identity.call(verifySession, request, { key: token }), "PERMISSION_DENIED");
});
