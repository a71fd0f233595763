// Checks the plans of the statements about accounts on MariaDB: every statement uses a key.
import { randomBytes } from "node:crypto";
import { type PartnerId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { deleteOldActivities, listActivityPage } from "../../src/activity/activity-store.ts";
import {
  deleteInvitationOf,
  findInvitation,
  findInvitationByEmail,
  findInvitationByToken,
  listExpiredInvitations,
  listInvitationPage,
  lockInvitation,
} from "../../src/invitations/invitation-store.ts";
import { hasOtherOwner, listActiveMemberships } from "../../src/memberships/membership-store.ts";
import { findRemovedMembership } from "../../src/memberships/removed-membership-store.ts";
import {
  deleteExpiredOneTimeTokens,
  deleteOneTimeTokens,
  redeemOneTimeToken,
  voidOneTimeTokens,
} from "../../src/one-time-tokens/one-time-token-store.ts";
import { PartnerStore } from "../../src/partners/partner-store.ts";
import { ProvisioningStore } from "../../src/provisioning/provisioning-store.ts";
import {
  deleteExpiredRegistrations,
  deleteRegistrations,
  findNewestRegistration,
  findRegistration,
  listRegistrations,
} from "../../src/registration/registration-store.ts";
import { findUserByEmail, lockUser } from "../../src/users/user-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const ROWS = 2_000;
const NOW = Date.UTC(2026, 0, 1);

let stored: TestDatabase;
const userIds = Array.from({ length: ROWS }, () => randomIds.next<UserId>(NOW));
const userId = userIds[7] as UserId;

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  const rows = <Row>(row: (index: number, id: Buffer) => Row): Row[] =>
    userIds.map((id, index) => row(index, uuidToBytes(id)));
  await stored.database.transaction(async (trx) => {
    const registrations = rows((index, id) => ({
      token_hash: randomBytes(32),
      registration_id: id,
      email: Buffer.from(`user${index}@example.com`),
      email_key: Buffer.from(`user${index}@example.com`),
      name: Buffer.from("Ada"),
      create_time_ms: NOW + index,
      expire_time_ms: NOW + index - ROWS / 2,
    }));
    const tokens = rows((index, id) => ({
      token_hash: randomBytes(32),
      purpose: Buffer.from("unlock"),
      user_id: id,
      security_version: 1,
      details: "{}",
      create_time_ms: NOW,
      expire_time_ms: NOW + index - ROWS / 2,
    }));
    const activities = rows((index, id) => ({
      user_id: id,
      create_time_ms: NOW + index - ROWS / 2,
      id,
      kind: Buffer.from("login"),
      client: Buffer.alloc(0),
      client_address: Buffer.alloc(0),
    }));
    const users = rows((index, id) => ({
      id,
      email: Buffer.from(`user${index}@example.com`),
      email_key: Buffer.from(`user${index}@example.com`),
      email_verified: 1,
      name: Buffer.from("Ada"),
      password_reset_required: 0,
      security_version: 1,
      create_time_ms: NOW,
      update_time_ms: NOW,
    }));
    const memberships = rows((_, id) => ({
      organization_id: uuidToBytes(randomIds.next(NOW)),
      user_id: id,
      name: Buffer.from("Ada"),
      role: Buffer.from("member"),
      status: Buffer.from("active"),
      create_time_ms: NOW,
      update_time_ms: NOW,
    }));
    const partners = rows((_, id) => ({
      id,
      name: Buffer.from("Alliance"),
      key_hash: randomBytes(32),
      sealed_secret: Buffer.alloc(80),
      create_time_ms: NOW,
    }));
    const provisionings = rows((index, id) => ({
      partner_id: id,
      external_id: Buffer.from("customer"),
      content_digest: Buffer.alloc(32),
      organization_id: uuidToBytes(randomIds.next(NOW)),
      create_time_ms: NOW,
      due_time_ms: index % 10 === 0 ? NOW + index : null,
    }));
    const invitations = rows((index, id) => ({
      id,
      organization_id: uuidToBytes(randomIds.next(NOW)),
      user_id: id,
      email: Buffer.from(`user${index}@example.com`),
      email_key: Buffer.from(`user${index}@example.com`),
      inviter_kind: Buffer.from("user"),
      inviter_id: id,
      token_hash: randomBytes(32),
      create_time_ms: NOW + index,
      // Two of each instant.
      expire_time_ms: NOW + (index >> 1) - ROWS / 4,
    }));
    await trx.batchInsert("invitations", invitations, 500);
    await trx.batchInsert("partners", partners, 500);
    await trx.batchInsert("provisionings", provisionings, 500);
    await trx.batchInsert("pending_registrations", registrations, 500);
    await trx.batchInsert("one_time_tokens", tokens, 500);
    await trx.batchInsert("user_activities", activities, 500);
    await trx.batchInsert("users", users, 500);
    await trx.batchInsert("memberships", memberships, 500);
  });
  const accounts = "pending_registrations, one_time_tokens, user_activities, users, memberships";
  const tables = `${accounts}, invitations, partners, provisionings`;
  await stored.database.transaction((trx) => trx.raw(`ANALYZE TABLE ${tables}`));
}, 60_000);
afterAll(() => stored.close());

const email = "user7@example.com";
const token = randomBytes(32).toString("base64url");

const partners = new PartnerStore(() => Buffer.alloc(32, 1));
const provisionings = new ProvisioningStore(Buffer.alloc(32, 1));
const provisioning = { partnerId: userId as string as PartnerId, externalId: "customer" };

const READS: Record<string, (db: Queryable) => Promise<unknown>> = {
  "partner by key": (db) => partners.findByKey(db, randomBytes(32)),
  "due provisionings": (db) => provisionings.listDue(db, NOW, 20),
  "user by address": (db) => findUserByEmail(db, email),
  memberships: (db) => listActiveMemberships(db, userId),
  "another owner": (db) => hasOtherOwner(db, randomIds.next(NOW), userId),
  "removed membership": (db) => findRemovedMembership(db, randomIds.next(NOW), userId),
  activities: (db) => listActivityPage(db, userId, undefined, 50),
  "next activities": (db) => listActivityPage(db, userId, { timeMs: NOW, id: userId }, 50),
  registrations: (db) => listRegistrations(db, email, NOW),
  "newest registration": (db) => findNewestRegistration(db, email, NOW),
  "registration by token": (db) => findRegistration(db, randomBytes(32), NOW),
  invitation: (db) => findInvitation(db, randomIds.next(NOW), userId),
  "invitation by address": (db) => findInvitationByEmail(db, randomIds.next(NOW), email),
  "invitation by token": (db) => findInvitationByToken(db, randomBytes(32)),
  invitations: (db) => listInvitationPage(db, randomIds.next(NOW), { createTimeMs: NOW, id: userId }, 50),
  "expired invitations": (db) => listExpiredInvitations(db, NOW, undefined, 50),
  "next expired invitations": (db) =>
    listExpiredInvitations(db, NOW, { expireTimeMs: NOW - 100, id: userId }, 50),
};
const CHANGES: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "locked provisioning": (trx) => provisionings.lock(trx, provisioning),
  "finished provisioning": (trx) => provisionings.finish(trx, provisioning, { id: userId, isInvited: false }),
  "undone provisioning": (trx) => provisionings.delete(trx, provisioning),
  "released provisionings": (trx) => provisionings.releaseAll(trx, NOW),
  "locked invitation": (trx) => lockInvitation(trx, randomIds.next(NOW), userId),
  "ended invitation": (trx) => deleteInvitationOf(trx, randomIds.next(NOW), userId),
  "locked user": (trx) => lockUser(trx, userId),
  "redeemed token": (trx) => redeemOneTimeToken(trx, "unlock", token, NOW),
  "void tokens": (trx) => voidOneTimeTokens(trx, userId),
  "tokens of a purpose": (trx) => deleteOneTimeTokens(trx, userId, "unlock"),
  "void registrations": (trx) => deleteRegistrations(trx, email),
  "expired registrations": (trx) => deleteExpiredRegistrations(trx, NOW, 50),
  "expired tokens": (trx) => deleteExpiredOneTimeTokens(trx, NOW, 50),
  "old activities": (trx) => deleteOldActivities(trx, NOW, 50),
};

test("reads and changes use keys", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  for (const [name, read] of Object.entries(READS)) expectIndexed(await plansOf(database, read), name);
  for (const [name, change] of Object.entries(CHANGES)) {
    expectIndexed(await plansOfChanges(database, change), name);
  }
});
