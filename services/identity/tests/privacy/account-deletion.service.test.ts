// Tests the deletion of an account by its person: the last owner, the link, the end of sessions, and the erasure.

import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { type OrganizationId, randomIds, type SessionId, uuidToBytes } from "@muster/core";
import { ENGINES, findInTables, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertMembership, listOrganizationsOf } from "../../src/memberships/membership-store.ts";
import { insertSession } from "../../src/sessions/session-store.ts";
import type { User } from "../../src/users/user.ts";
import { AccountHarness } from "../accounts/account-harness.ts";

const { requestAccountDeletion, confirmAccountDeletion } = PrivacyService.method;
const { getOperation } = OperationService.method;

describe.each(ENGINES)("deletion of an account on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  async function organizationOf(user: User): Promise<OrganizationId> {
    const [id] = await listOrganizationsOf(identity.database.reader, user.id);
    if (id === undefined) throw new Error("the user has no organization");
    return id;
  }

  async function join(user: User, organizationId: OrganizationId, role: "owner" | "member"): Promise<void> {
    const nowMs = identity.clock.nowMs();
    const times = { createTimeMs: nowMs, updateTimeMs: nowMs, lastLoginTimeMs: undefined };
    const membership = { organizationId, userId: user.id, name: user.name, role, loginCount: 0, version: 1 };
    await identity.database.transaction((trx) =>
      insertMembership(trx, { ...membership, ...times, status: "active" }),
    );
  }

  async function linkOf(user: User): Promise<string> {
    await identity.call(requestAccountDeletion, {}, identity.as(user));
    return identity.mails.nextToken(user.email);
  }

  test("after it no table has a byte of the person, and the organization stays", async () => {
    const owner = await identity.newUser(undefined, { organizationName: "Acme" });
    const acme = await organizationOf(owner);
    const email = "zelda.quux@example.com";
    const user = await identity.newUser(email, { name: "Zelda Quux" });
    await join(user, acme, "member");
    const nowMs = identity.clock.nowMs();
    const sessionId = randomIds.next<SessionId>(nowMs);
    await identity.database.transaction((trx) =>
      insertSession(trx, {
        id: sessionId,
        userId: user.id,
        organizationId: acme,
        createTimeMs: nowMs,
        lastUsedTimeMs: nowMs,
        authenticatedTimeMs: nowMs,
        authenticationMethods: ["password"],
        expireTimeMs: nowMs + 1_000_000,
        endTimeMs: undefined,
        client: "Zelda's browser",
        clientAddress: "198.51.100.77",
      }),
    );
    await identity.call(
      AccountService.method.changeEmail,
      { email: "zelda.new@example.com" },
      identity.as(user),
    );
    const personal = ["zelda.quux", "zelda.new", "Zelda", "zelda", "quux", "198.51.100.77"];
    for (const text of ["zelda.quux", "Zelda", "198.51.100.77"]) {
      expect(await findInTables(identity.database, text), text).not.toEqual([]);
    }
    await identity.call(requestAccountDeletion, {}, identity.as(user));
    const token = await waitFor(async () => {
      const mail = await identity.mails.next(email);
      return /delete-account#token=([\w-]+)/.exec(mail.text)?.[1];
    });
    const { operation } = await identity.call(confirmAccountDeletion, { token });
    expect(operation).toMatchObject({ kind: "account_erasure", state: OperationState.PENDING });
    const operationId = operation?.id ?? "";
    const done = await waitFor(async () => {
      const read = await identity.call(getOperation, { operationId }, identity.as(user));
      return read.operation?.state === OperationState.SUCCEEDED && read.operation;
    });
    const result = JSON.parse(done.result ?? "{}");
    expect(result.locations).toContainEqual({ location: "identity.sessions", count: 1 });
    for (const text of personal) expect(await findInTables(identity.database, text), text).toEqual([]);
    const tables = ["users", "sessions", "user_activities", "memberships", "one_time_tokens"];
    for (const table of tables) {
      const column = table === "users" ? "id" : "user_id";
      expect(await identity.database.reader(table).where(column, uuidToBytes(user.id)), table).toEqual([]);
    }
    expect(await identity.findUser(email)).toBeUndefined();
    expect(await listOrganizationsOf(identity.database.reader, owner.id)).toEqual([acme]);
    await expectReason(identity.call(confirmAccountDeletion, { token }), "TOKEN_INVALID");
    expect((await identity.mails.next(email)).subject).toBe("Your account was deleted");
    // The address is free.
    expect((await identity.newUser(email)).id).not.toBe(user.id);
  });

  test("the last owner of an organization stays, also when the other owner left since the request", async () => {
    const user = await identity.newUser(undefined, { organizationName: "Globex" });
    await expectReason(identity.call(requestAccountDeletion, {}, identity.as(user)), "LAST_OWNER");
    const other = await identity.newUser();
    await join(other, await organizationOf(user), "owner");
    const first = await linkOf(user);
    const second = await linkOf(other);
    await identity.call(confirmAccountDeletion, { token: first });
    await expectReason(identity.call(confirmAccountDeletion, { token: second }), "LAST_OWNER");
    expect(await identity.findUser(other.email)).toBeDefined();
  });

  test("of two owners who confirm at once, one stays", async () => {
    const user = await identity.newUser(undefined, { organizationName: "Initech" });
    const other = await identity.newUser();
    await join(other, await organizationOf(user), "owner");
    const tokens = [await linkOf(user), await linkOf(other)];
    const outcomes = await Promise.allSettled(
      tokens.map((token) => identity.call(confirmAccountDeletion, { token })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a new link, a changed password and a day void the link", async () => {
    const user = await identity.newUser();
    const old = await linkOf(user);
    const token = await linkOf(user);
    await expectReason(identity.call(confirmAccountDeletion, { token: old }), "TOKEN_INVALID");
    identity.later(24 * 3_600_000);
    await expectReason(identity.call(confirmAccountDeletion, { token }), "TOKEN_INVALID");
    await expectReason(identity.call(confirmAccountDeletion, { token: "nonsense" }), "TOKEN_INVALID");
    expect(await identity.findUser(user.email)).toBeDefined();
  });
});
