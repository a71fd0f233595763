// Checks the plans of the statements of exports, operations and deletion requests on MariaDB: every statement uses a key.
// The golden file shows changed queries and indexes.
import { randomBytes } from "node:crypto";
import { type OrganizationId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, type Plan, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { listApiKeyPage } from "../../src/api-keys/api-key-store.ts";
import {
  completeDeletionRequest,
  listDeletionRequestPage,
  listDeletionRequestsAbout,
  listDeletionRequestsBy,
  lockDeletionRequest,
  lockPendingRequest,
} from "../../src/deletion-request-storage/deletion-request-store.ts";
import {
  deleteSomeExports,
  deleteSomeSessionsOf,
  forgetLastOrganization,
} from "../../src/deletion-requests/organization-rows-store.ts";
import {
  claimExport,
  deleteExpiredExports,
  findReadyExport,
  listEndedExports,
  lockExport,
} from "../../src/exports/export-store.ts";
import { findInvitationOf, listInvitationsBy } from "../../src/invitations/invitation-store.ts";
import { listLoginsOf } from "../../src/login-counts/login-event-store.ts";
import { listTotalsOf } from "../../src/login-counts/login-totals-store.ts";
import { lockMembershipsOf } from "../../src/memberships/membership-store.ts";
import { OperationStore } from "../../src/operations/operation-store.ts";
import { listSessionsOfOrganization } from "../../src/sessions/session-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const TABLES =
  "deletion_requests, sessions, exports, operations, api_keys, invitations, login_events, login_totals";
const ROWS = 2_000;
const NOW = Date.UTC(2026, 0, 1);
const organizationId = randomIds.next<OrganizationId>(NOW);
const userIds = Array.from({ length: ROWS }, (_, index) => randomIds.next<UserId>(NOW + index));
const userId = userIds[7] as UserId;
const person = { organizationId, userId };
const tokenHashOf = (id: UserId) => Buffer.concat([uuidToBytes(id), uuidToBytes(id)]);
const store = new OperationStore(randomBytes(32));
const inviter = { kind: "user", id: userId } as const;

let stored: TestDatabase;

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction(async (trx) => {
    const requests = userIds.map((id, index) => ({
      id: uuidToBytes(id),
      // Half of the rows are of other organizations.
      organization_id: uuidToBytes(index % 2 === 0 ? randomIds.next(NOW) : organizationId),
      user_id: uuidToBytes(id),
      state: index % 3,
      requester_kind: Buffer.from("user"),
      requester_id: Buffer.from(id),
      requester_user_id: uuidToBytes(id),
      create_time_ms: NOW + Math.floor(index / 10),
    }));
    const keys = userIds.map((id, index) => ({
      id: uuidToBytes(id),
      organization_id: uuidToBytes(organizationId),
      name: Buffer.from("key"),
      prefix: Buffer.from("mk_live_"),
      key_hash: randomBytes(32),
      scopes: "[]",
      create_time_ms: NOW + index,
      created_by: uuidToBytes(id),
    }));
    const invitations = userIds.map((id) => ({
      id: uuidToBytes(id),
      organization_id: uuidToBytes(organizationId),
      user_id: uuidToBytes(id),
      email: Buffer.from(id),
      email_key: Buffer.from(id),
      inviter_kind: Buffer.from("user"),
      inviter_id: uuidToBytes(id),
      token_hash: randomBytes(32),
      create_time_ms: NOW,
      expire_time_ms: NOW,
    }));
    const logins = userIds.map((id, index) => ({
      organization_id: uuidToBytes(organizationId),
      user_id: uuidToBytes(id),
      login_id: uuidToBytes(id),
      day: 0,
      shard: 0,
      position: index,
      time_ms: NOW,
    }));
    const sessions = userIds.map((id, index) => ({
      id: uuidToBytes(randomIds.next(NOW)),
      user_id: uuidToBytes(id),
      organization_id: uuidToBytes(organizationId),
      create_time_ms: NOW + index,
      last_used_time_ms: NOW,
      authentication_methods: JSON.stringify(["password"]),
      expire_time_ms: NOW + 1,
      client: Buffer.alloc(0),
      client_address: Buffer.alloc(0),
    }));
    const exports = userIds.map((id, index) => ({
      id: uuidToBytes(id),
      organization_id: uuidToBytes(organizationId),
      user_id: uuidToBytes(id),
      requester_kind: Buffer.from("user"),
      requester_id: Buffer.from(id),
      create_time_ms: NOW,
      token_hash: index % 2 === 0 ? null : tokenHashOf(id),
      data_end_time_ms: index % 2 === 0 ? null : NOW + index,
      expire_time_ms: NOW + index,
    }));
    const operations = userIds.map((id, index) => ({
      id: uuidToBytes(id),
      kind: Buffer.from("export"),
      requester_kind: Buffer.from("user"),
      requester_id: Buffer.from(id),
      // Most have ended.
      state: index < 20 ? 0 : 2,
      progress: 0,
      input: Buffer.alloc(0),
      fencing_token: 0,
      failures: 0,
      create_time_ms: NOW,
      due_time_ms: index < 20 ? NOW + 1 + index : null,
      expire_time_ms: NOW + 1 + index,
    }));
    const totals = userIds.map((id, index) => ({
      organization_id: uuidToBytes(organizationId),
      window_days: 7,
      user_id: uuidToBytes(id),
      negative_logins: -1,
      shard: 0,
      position: index,
    }));
    await trx.batchInsert("deletion_requests", requests, 500);
    await trx.batchInsert("sessions", sessions, 500);
    await trx.batchInsert("exports", exports, 500);
    await trx.batchInsert("operations", operations, 500);
    await trx.batchInsert("api_keys", keys, 500);
    await trx.batchInsert("invitations", invitations, 500);
    await trx.batchInsert("login_events", logins, 500);
    await trx.batchInsert("login_totals", totals, 500);
  });
  await stored.database.transaction((trx) => trx.raw(`ANALYZE TABLE ${TABLES}`));
}, 60_000);
afterAll(() => stored.close());

const READS: Record<string, (db: Queryable) => Promise<unknown>> = {
  "first page": (db) => listDeletionRequestPage(db, organizationId, undefined, 50),
  "next page": (db) => listDeletionRequestPage(db, organizationId, { createTimeMs: NOW, id: userId }, 50),
  "requests about a person": (db) => listDeletionRequestsAbout(db, person, undefined, 500),
  "requests about a person, next page": (db) => listDeletionRequestsAbout(db, person, userId, 500),
  "requests by a person": (db) => listDeletionRequestsBy(db, person, undefined, 500),
  "requests by a person, next page": (db) => listDeletionRequestsBy(db, person, userId, 500),
  "exported sessions": (db) => listSessionsOfOrganization(db, person, undefined, 500),
  "exported logins": (db) => listLoginsOf(db, person, undefined, 500),
  "exported logins, next page": (db) => listLoginsOf(db, person, { loginId: userId }, 500),
  "exported totals": (db) => listTotalsOf(db, organizationId, userId),
  "received invitation": (db) => findInvitationOf(db, organizationId, userId),
  "sent invitations": (db) => listInvitationsBy(db, organizationId, inviter, undefined, 500),
  "sent invitations, next page": (db) => listInvitationsBy(db, organizationId, inviter, { id: userId }, 500),
  "ready export": (db) => findReadyExport(db, tokenHashOf(userId), NOW),
  "ended exports": (db) => listEndedExports(db, NOW, 500),
  operation: (db) => store.find(db, userId),
  "exported keys": (db) => listApiKeyPage(db, { organizationId, createdBy: userId }, undefined, 500),
};
const CHANGES: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "locked request": (trx) => lockDeletionRequest(trx, organizationId, userId),
  "pending request": (trx) => lockPendingRequest(trx, organizationId, userId),
  "complete request": (trx) => completeDeletionRequest(trx, userId, { nowMs: NOW, counts: {} }),
  memberships: (trx) => lockMembershipsOf(trx, userId),
  sessions: (trx) => deleteSomeSessionsOf(trx, person, NOW),
  exports: (trx) => deleteSomeExports(trx, person),
  "locked export": (trx) => lockExport(trx, userId),
  "claimed export": (trx) => claimExport(trx, userId, { nowMs: NOW, dataEndTimeMs: NOW }),
  "expired exports": (trx) => deleteExpiredExports(trx, NOW, 500),
  "due operation": (trx) => store.claim(trx, ["export", "erase_account"], { nowMs: NOW, untilMs: NOW }),
  "expired operations": (trx) => store.deleteExpired(trx, NOW, 500),
  "last organization": (trx) => forgetLastOrganization(trx, person),
};

test("reads and changes use keys", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  const lines: string[] = [];
  const check = (name: string, plans: readonly Plan[]): void => {
    expectIndexed(plans, name);
    lines.push(name, ...plans.map(lineOf));
  };
  for (const [name, read] of Object.entries(READS)) check(name, await plansOf(database, read));
  for (const [name, change] of Object.entries(CHANGES)) check(name, await plansOfChanges(database, change));
  await golden("identity/privacy.txt", `${lines.join("\n")}\n`);
});

/** Without the kind of access, which depends on the random ids. */
function lineOf({ table, key }: Plan): string {
  return `  ${table ?? "-"} ${key ?? "-"}`;
}
