// Checks the plans of the statements of deletion requests on MariaDB: every statement uses a key.
import { type OrganizationId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import {
  completeDeletionRequest,
  listDeletionRequestPage,
  lockDeletionRequest,
  lockPendingRequest,
} from "../../src/deletion-requests/deletion-request-store.ts";
import {
  deleteSomeExports,
  deleteSomeSessionsOf,
  forgetLastOrganization,
} from "../../src/deletion-requests/organization-rows-store.ts";
import { lockMembershipsOf } from "../../src/memberships/membership-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const ROWS = 2_000;
const NOW = Date.UTC(2026, 0, 1);
const organizationId = randomIds.next<OrganizationId>(NOW);
const userIds = Array.from({ length: ROWS }, (_, index) => randomIds.next<UserId>(NOW + index));
const userId = userIds[7] as UserId;
const person = { organizationId, userId };

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
      create_time_ms: NOW + Math.floor(index / 10),
    }));
    const sessions = userIds.map((id, index) => ({
      id: uuidToBytes(randomIds.next(NOW)),
      user_id: uuidToBytes(id),
      organization_id: uuidToBytes(organizationId),
      create_time_ms: NOW + index,
      last_used_time_ms: NOW,
      authentication_methods: "password",
      expire_time_ms: NOW + 1,
      client: Buffer.alloc(0),
      client_address: Buffer.alloc(0),
    }));
    const exports = userIds.map((id) => ({
      id: uuidToBytes(randomIds.next(NOW)),
      organization_id: uuidToBytes(organizationId),
      user_id: uuidToBytes(id),
      requester_kind: Buffer.from("user"),
      requester_id: Buffer.from(id),
      create_time_ms: NOW,
    }));
    await trx.batchInsert("deletion_requests", requests, 500);
    await trx.batchInsert("sessions", sessions, 500);
    await trx.batchInsert("exports", exports, 500);
  });
  await stored.database.transaction((trx) => trx.raw("ANALYZE TABLE deletion_requests, sessions, exports"));
}, 60_000);
afterAll(() => stored.close());

const READS: Record<string, (db: Queryable) => Promise<unknown>> = {
  "first page": (db) => listDeletionRequestPage(db, organizationId, undefined, 50),
  "next page": (db) => listDeletionRequestPage(db, organizationId, { createTimeMs: NOW, id: userId }, 50),
};
const CHANGES: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "locked request": (trx) => lockDeletionRequest(trx, organizationId, userId),
  "pending request": (trx) => lockPendingRequest(trx, organizationId, userId),
  "complete request": (trx) => completeDeletionRequest(trx, userId, { nowMs: NOW, counts: {} }),
  memberships: (trx) => lockMembershipsOf(trx, userId),
  sessions: (trx) => deleteSomeSessionsOf(trx, person, NOW),
  exports: (trx) => deleteSomeExports(trx, person),
  "last organization": (trx) => forgetLastOrganization(trx, person),
};

test("reads and changes use keys", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  for (const [name, read] of Object.entries(READS)) expectIndexed(await plansOf(database, read), name);
  for (const [name, change] of Object.entries(CHANGES)) {
    expectIndexed(await plansOfChanges(database, change), name);
  }
});
