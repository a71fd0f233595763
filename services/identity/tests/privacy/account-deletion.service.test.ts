// Tests the deletion of an account by its person: the last owner, the link, the end of sessions, and the erasure.

import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { type OrganizationId, randomIds, type SessionId, shardOf, uuidToBytes } from "@muster/core";
import { ENGINES, findInTables, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertLogins } from "../../src/login-counts/login-event-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";
import { MailSeal } from "../../src/mail/mail-payload.ts";
import { insertMembership, listOrganizationsOf } from "../../src/memberships/membership-store.ts";
import { insertSession } from "../../src/sessions/session-store.ts";
import type { User } from "../../src/users/user.ts";
import { AccountHarness } from "../accounts/account-harness.ts";

const { requestAccountDeletion, confirmAccountDeletion } = PrivacyService.method;
const { getOperation } = OperationService.method;

/** Where the id of an erased person is found for some time: see decision 45. */
const LISTED_PLACES = ["operations.requester_id", "outbox_messages.data"];

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

  /** A mail whose next attempt is not due. */
  async function addWaitingMail({ email }: User): Promise<void> {
    const nowMs = identity.clock.nowMs();
    await identity.database.transaction((trx) =>
      trx("mail_jobs").insert({
        id: uuidToBytes(randomIds.next(nowMs)),
        kind: Buffer.from("new_device"),
        state: 0,
        due_time_ms: nowMs + 86_400_000,
        attempts: 1,
        create_time_ms: nowMs,
        useful_until_ms: nowMs + 2 * 86_400_000,
        payload: Buffer.from("sealed"),
        recipient_key: new MailSeal(identity.mailKey).recipientKeyOf(email),
      }),
    );
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
    const login = { organizationId: acme, day: dayOf(nowMs), shard: 0, position: 0, timeMs: nowMs };
    const ofUser = { ...login, userId: user.id };
    // The person has left the second organization without a trace but the login.
    const left = { ...ofUser, organizationId: randomIds.next<OrganizationId>(nowMs) };
    const logins = [ofUser, left, { ...login, userId: owner.id }].map((one) => ({
      ...one,
      loginId: randomIds.next(nowMs),
    }));
    await identity.database.transaction((trx) => insertLogins(trx, logins));
    await identity.call(
      AccountService.method.changeEmail,
      { email: "zelda.new@example.com" },
      { ...identity.as(user), idempotencyKey: "change" },
    );
    await addWaitingMail(user);
    const partner = { partner_id: uuidToBytes(randomIds.next(0)), external_id: Buffer.from("crm-7") };
    await identity.database.transaction((trx) =>
      trx("provisionings").insert({
        ...partner,
        content_digest: Buffer.alloc(32),
        organization_id: uuidToBytes(acme),
        owner_id: uuidToBytes(user.id),
        is_invited: 0,
        create_time_ms: nowMs,
      }),
    );
    const personal = ["zelda.quux", "zelda.new", "Zelda", "zelda", "quux", "198.51.100.77"];
    for (const text of ["zelda.quux", "Zelda", "198.51.100.77"]) {
      expect(await findInTables(identity.database, text), text).not.toEqual([]);
    }
    // The notice of the change is awaited first, because mails that are on their way at once arrive in any order.
    await identity.mails.next(email);
    const token = await linkOf(user);
    const { operation } = await identity.call(confirmAccountDeletion, { token });
    expect(operation).toMatchObject({ kind: "account_erasure", state: OperationState.PENDING });
    const operationId = operation?.id ?? "";
    const done = await waitFor(async () => {
      // The operation waits for the consumer of logins.
      await identity.clock.advance(1_000);
      const read = await identity.call(getOperation, { operationId }, identity.as(user));
      return read.operation?.state === OperationState.SUCCEEDED && read.operation;
    });
    const result = JSON.parse(done.result ?? "{}");
    expect(result.locations).toContainEqual({ location: "identity.sessions", count: 1 });
    expect(result.locations).toContainEqual({ location: "identity.login_events", count: 2 });
    expect(result.locations).toContainEqual({ location: "identity.mail_jobs", count: 1 });
    expect(result.locations).toContainEqual({ location: "identity.idempotency_keys", count: 1 });
    const [receipt] = await identity.database.reader("account_erasures");
    expect(JSON.parse(String(receipt.counts))).toMatchObject({ "identity.sessions": 1 });
    const [provisioned] = await identity.database.reader("provisionings").where(partner);
    expect(provisioned).toMatchObject({ owner_id: null, is_invited: 0 });
    const places = [
      ...(await findInTables(identity.database, user.id)),
      ...(await findInTables(identity.database, uuidToBytes(user.id))),
    ];
    // The requester of the operation, and the messages about the end of the membership, which the outbox drops.
    expect(places.filter((place) => !LISTED_PLACES.includes(place))).toEqual([]);
    const kept = await identity.database.reader("login_events").where("organization_id", uuidToBytes(acme));
    expect(kept.map((row) => row.user_id)).toEqual([Buffer.from(uuidToBytes(owner.id))]);
    for (const text of personal) expect(await findInTables(identity.database, text), text).toEqual([]);
    const tables = ["users", "sessions", "user_activities", "memberships", "one_time_tokens", "login_totals"];
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

  test("a crash before any statement of the confirmation changes nothing, and the next call succeeds", async () => {
    const owner = await identity.newUser(undefined, { organizationName: "Hooli" });
    const user = await identity.newUser();
    await join(user, await organizationOf(owner), "member");
    const token = await linkOf(user);
    const confirm = () => identity.call(confirmAccountDeletion, { token });
    let crashes = 0;
    for (let isDone = false; !isDone; ) {
      const { outcome, isDead } = await identity.watched.during(confirm, crashes);
      isDone = !isDead;
      expect(outcome.status).toBe(isDead ? "rejected" : "fulfilled");
      if (isDead) expect(await identity.findUser(user.email)).toBeDefined();
      crashes += 1;
    }
    expect(crashes).toBeGreaterThan(20);
    expect((await identity.mails.next(user.email)).subject).toBe("Your account was deleted");
    const mails = identity.mails.all.filter(({ to }) => to === user.email);
    expect(mails.filter(({ subject }) => subject === "Your account was deleted")).toHaveLength(1);
    const operations = await identity.database
      .reader("operations")
      .where({ kind: Buffer.from("account_erasure"), requester_id: Buffer.from(user.id) });
    expect(operations).toHaveLength(1);
    const messages = await identity.database.reader("outbox_messages").select("type", "data");
    const deleted = messages.filter(
      ({ type, data }) =>
        String(type) === "muster.identity.user.deleted.v1" &&
        data.includes(Buffer.from(uuidToBytes(user.id))),
    );
    expect(deleted).toHaveLength(1);
  }, 60_000);

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

  // The last test, because the consumer reads the shard no more.
  test("the erasure waits for the consumer of logins, in each organization of the person", async () => {
    const owner = await identity.newUser(undefined, { organizationName: "Umbrella" });
    const umbrella = await organizationOf(owner);
    const user = await identity.newUser();
    await join(user, umbrella, "member");
    const shard = shardOf(umbrella, user.id);
    const token = await linkOf(user);
    // A position without a message, behind which the consumer cannot read.
    await identity.database.transaction((trx) =>
      trx("shard_positions").where({ shard }).increment("position", 1_000),
    );
    const { operation } = await identity.call(confirmAccountDeletion, { token });
    const operationId = operation?.id ?? "";
    const where = { id: uuidToBytes(operationId) };
    await waitFor(async () => {
      const [row] = await identity.database.reader("operations").where(where);
      return row?.state === 1 && row.fencing_token > 0;
    });
    for (let second = 0; second < 10; second += 1) await identity.clock.advance(1_000);
    const nowMs = identity.clock.nowMs();
    const late = { organizationId: umbrella, userId: user.id, loginId: randomIds.next(nowMs) };
    await identity.database.transaction((trx) =>
      insertLogins(trx, [{ ...late, day: dayOf(nowMs), shard, position: 1, timeMs: nowMs }]),
    );
    const [{ position }] = await identity.database.reader("shard_positions").where({ shard });
    await identity.database.transaction((trx) => trx("shard_cursors").where({ shard }).update({ position }));
    await waitFor(async () => {
      await identity.clock.advance(1_000);
      const read = await identity.call(getOperation, { operationId }, identity.as(user));
      return read.operation?.state === OperationState.SUCCEEDED;
    });
    const left = await identity.database.reader("login_events").where("user_id", uuidToBytes(user.id));
    expect(left).toEqual([]);
  });
});
