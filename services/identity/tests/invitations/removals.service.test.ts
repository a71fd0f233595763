// Tests the ends of invitations without an acceptance: events, crashes, and ends at the same time.
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type OrganizationId, shardOf, type UserId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { Outbox } from "@muster/outbox";
import { ENGINES } from "@muster/testkit";
import { expectReason, testLogger } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteExpiredInvitations } from "../../src/account/delete-expired-invitations.ts";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { claimAddress } from "../../src/memberships/release-address.ts";
import { lockUser, saveUser } from "../../src/users/user-store.ts";
import { expiredDataWorker } from "../accounts/expired-data.ts";
import { type Company, InvitationHarness } from "./invitation-harness.ts";

const { deleteInvitation } = InvitationService.method;
const { createUser, deleteUser, restoreUser } = UserService.method;
const DAY_MS = 86_400_000;
const ROUNDS = 3;

describe.each(ENGINES)("ends of invitations on %s", (engine) => {
  let muster: InvitationHarness;
  let acme: Company;

  beforeAll(async () => {
    muster = await InvitationHarness.open(engine);
    acme = await muster.company();
  });
  afterAll(() => muster.close());

  const newAddress = () => muster.identity.newAddress();
  const invitationId = async (company: Company, email: string): Promise<string> =>
    (await muster.invitations(company)).find((one) => one.email === email)?.id ?? "";

  /** An invitation of an address without an account, and the id of the member. */
  async function invited(company: Company, email = newAddress()) {
    const request = { email, role: Role.MEMBER };
    const { user } = await muster.identity.call(createUser, request, company.as);
    const token = await muster.identity.mails.nextToken(email);
    const userId = (user?.id ?? "") as UserId;
    return { email, token, userId, invitationId: await invitationId(company, email) };
  }

  /** The events about a member, in order. */
  async function eventsOf(organizationId: OrganizationId, userId: UserId): Promise<string[]> {
    const shard = shardOf(organizationId, userId);
    const rows: { type: Buffer; data: Buffer }[] = await muster.identity.database
      .reader("outbox_messages")
      .select("type", "data")
      .where({ shard })
      .orderBy("position");
    const ids = [uuidToBytes(organizationId), uuidToBytes(userId)];
    return rows
      .filter(({ data }) => ids.every((id) => data.includes(id)))
      .map(({ type }) => type.toString("utf8").replace(/^muster\.identity\.user\.(.*)\.v1$/, "$1"));
  }

  test("a deleted invitation publishes the removal of the member, with a crash before any statement", async () => {
    const one = await invited(acme);
    const before = await eventsOf(acme.organizationId, one.userId);
    expect(before).toEqual(["invited"]);
    for (let statement = 0; ; statement += 1) {
      const remove = () => muster.identity.call(deleteInvitation, one, acme.as);
      const { isDead } = await muster.identity.watched.during(remove, statement);
      const isInvited = (await invitationId(acme, one.email)) !== "";
      const after = await eventsOf(acme.organizationId, one.userId);
      expect(after).toEqual(isInvited ? before : [...before, "deleted"]);
      expect((await muster.identity.findUser(one.email)) !== undefined).toBe(isInvited);
      if (!isDead) break;
    }
    expect(await invitationId(acme, one.email)).toBe("");
  });

  test("an invitation that expired long ago, or that a new one replaces, publishes the removal", async () => {
    const [swept, replaced] = [await invited(acme), await invited(acme)];
    muster.identity.later(8 * DAY_MS);
    const next = await invited(acme, replaced.email);
    expect(await eventsOf(acme.organizationId, replaced.userId)).toEqual(["invited", "deleted"]);
    muster.identity.later(30 * DAY_MS);
    await expiredDataWorker(muster.identity).sweep();
    await expiredDataWorker(muster.identity).sweep();
    expect(await eventsOf(acme.organizationId, swept.userId)).toEqual(["invited", "deleted"]);
    expect(await eventsOf(acme.organizationId, next.userId)).toEqual(["invited"]);
  });

  test("an account with a different id joins in place of the invited member, who is removed", async () => {
    const one = await invited(acme);
    const account = await muster.account();
    await muster.identity.database.transaction(async (trx) => {
      const user = await lockUser(trx, account.id);
      if (user === undefined) throw new Error("no account");
      await claimAddress(trx, user, one.email, 1);
      await saveUser(trx, { ...user, email: one.email, emailKey: one.email });
    });
    await muster.accept(account, one.token);
    expect(await eventsOf(acme.organizationId, one.userId)).toEqual(["invited", "deleted"]);
    expect(await eventsOf(acme.organizationId, account.id)).toEqual(["joined"]);
  });

  test("a person who was removed while invited neither accepts nor is restored", async () => {
    const user = await muster.account();
    const known = await invited(acme, user.email);
    const unknown = await invited(acme);
    for (const { userId } of [known, unknown]) {
      await muster.identity.call(deleteUser, { userId }, acme.as);
      expect(await eventsOf(acme.organizationId, userId)).toEqual(["invited", "deleted"]);
      await expectReason(muster.identity.call(restoreUser, { userId }, acme.as), "USER_NOT_FOUND");
    }
    await muster.expectInvalid(user, known.token);
    const registered = await muster.registerInvited(unknown.email, unknown.token);
    for (const { id } of [user, registered]) {
      const membership = await findMembership(muster.identity.database.reader, acme.organizationId, id);
      expect(membership).toBeUndefined();
    }
  });

  test("a removal of an invitation leaves an earlier removal, which can be undone", async () => {
    const user = await muster.member(acme, "admin");
    const request = { userId: user.id };
    await muster.identity.call(deleteUser, request, acme.as);
    // The notice of the removal is awaited first, because mails of one address arrive in any order.
    await muster.identity.mails.next(user.email);
    await invited(acme, user.email);
    await expectReason(muster.identity.call(restoreUser, request, acme.as), "USER_EXISTS");
    await muster.identity.call(deleteUser, request, acme.as);
    const restored = await muster.identity.call(restoreUser, request, acme.as);
    expect(restored.user).toMatchObject({ role: Role.ADMIN, status: MemberStatus.ACTIVE });
  });

  /** Resolves to whether the call had an effect. Rejects for a refusal with a different reason. */
  const unlessRefused = (call: Promise<unknown>, reason: string): Promise<boolean> =>
    call.then(
      () => true,
      (error: unknown) => {
        if (error instanceof AppError && error.reason === reason) return false;
        throw error;
      },
    );

  /** Deletes every invitation that was made so far, as two processes do long after. */
  async function sweep(): Promise<void> {
    const { clock, database, module } = muster.identity;
    const outbox = module.workers.find((one) => one instanceof Outbox) as Outbox;
    const times = { nowMs: clock.nowMs(), beforeMs: clock.nowMs() + 30 * DAY_MS };
    const deps = { database, outbox, log: testLogger() };
    await deleteExpiredInvitations(deps, { ...times, signal: new AbortController().signal });
  }

  test("sweeps, acceptances and removals at once end each invitation once, without a deadlock", async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const companies = [await muster.company(), await muster.company()] as const;
      const users = await Promise.all(Array.from({ length: 4 }, () => muster.account()));
      const calls: (() => Promise<unknown>)[] = [sweep, sweep];
      const expected: { organizationId: OrganizationId; userId: UserId; joined: boolean }[] = [];
      for (const user of users) {
        for (const [index, company] of companies.entries()) {
          const { organizationId } = company;
          const one = await invited(company, user.email);
          const outcome = { organizationId, userId: one.userId, joined: false };
          expected.push(outcome);
          if (index === 1) {
            const remove = () => muster.identity.call(deleteInvitation, one, company.as);
            calls.push(() => unlessRefused(remove(), "INVITATION_NOT_FOUND"));
          }
          calls.push(async () => {
            outcome.joined = await unlessRefused(muster.accept(user, one.token), "TOKEN_INVALID");
          });
        }
      }
      const shared = newAddress();
      for (const company of companies) {
        const one = await invited(company, shared);
        expected.push({ organizationId: company.organizationId, userId: one.userId, joined: false });
        const remove = () => muster.identity.call(deleteUser, { userId: one.userId }, company.as);
        calls.push(() => unlessRefused(remove(), "USER_NOT_FOUND"));
      }
      await Promise.all(calls.map((call) => call()));
      await sweep();
      for (const { organizationId, userId, joined } of expected) {
        expect(await eventsOf(organizationId, userId)).toEqual(["invited", joined ? "joined" : "deleted"]);
        const member = await findMembership(muster.identity.database.reader, organizationId, userId);
        expect(member?.status).toBe(joined ? "active" : undefined);
      }
      for (const company of companies) expect(await muster.invitations(company)).toEqual([]);
      expect(await muster.identity.findUser(shared)).toBeUndefined();
    }
  });
});
