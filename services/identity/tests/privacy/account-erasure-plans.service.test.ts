// Checks the plans of the statements of operations and account erasures on MariaDB: every statement uses a key. The
// golden file shows changed queries and indexes.
import { randomBytes } from "node:crypto";
import { randomIds, type UserId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import { removeKeysOf } from "@muster/idempotency";
import { userScope } from "@muster/rpc";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import {
  beginAccountErasure,
  completeAccountErasure,
} from "../../src/account-deletion/account-erasure-store.ts";
import {
  deleteSomeActivities,
  forgetProvisionedOwner,
} from "../../src/account-deletion/personal-rows-store.ts";
import { deleteMailJobsTo } from "../../src/mail/mail-job-store.ts";
import { OperationStore } from "../../src/operations/operation-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const TABLES = "account_erasures, operations, mail_jobs, provisionings, idempotency_keys, user_activities";
const ROWS = 2_000;
const NOW = Date.UTC(2026, 0, 1);
const KEY = new Uint8Array(32).fill(7);
const userIds = Array.from({ length: ROWS }, (_, index) => randomIds.next<UserId>(NOW + index));
const userId = userIds[7] as UserId;
const operations = new OperationStore(KEY);

let stored: TestDatabase;

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction(async (trx) => {
    await trx.batchInsert("operations", userIds.map(operationOf), 500);
    await trx.batchInsert("mail_jobs", userIds.map(mailOf), 500);
    await trx.batchInsert("provisionings", userIds.map(provisioningOf), 500);
    await trx.batchInsert("idempotency_keys", userIds.map(responseOf), 500);
    await trx.batchInsert("user_activities", userIds.map(activityOf), 500);
    for (const id of userIds.slice(0, 100)) await beginAccountErasure(trx, KEY, id, NOW);
  });
  await stored.database.transaction((trx) => trx.raw(`ANALYZE TABLE ${TABLES}`));
}, 60_000);
afterAll(() => stored.close());

const CHANGES: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "expired operations": (trx) => operations.deleteExpired(trx, NOW - ROWS + 50, 500),
  "waiting mails": (trx) => deleteMailJobsTo(trx, recipientOf(userId), ["account_deleted"], 500),
  "kept responses": (trx) => removeKeysOf(trx, userScope(userId), 100),
  activities: (trx) => deleteSomeActivities(trx, userId),
  "provisioned owner": (trx) => forgetProvisionedOwner(trx, userId),
  "begin of a receipt": (trx) => beginAccountErasure(trx, KEY, userId, NOW),
  "end of a receipt": (trx) => completeAccountErasure(trx, KEY, userId, { nowMs: NOW, counts: {} }),
};

test("changes use keys", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  const lines: string[] = [];
  for (const [name, change] of Object.entries(CHANGES)) {
    const plans = await plansOfChanges(database, change);
    expectIndexed(plans, name);
    lines.push(name, ...plans.map(({ table, key }) => `  ${table ?? "-"} ${key ?? "-"}`));
  }
  await golden("identity/account-erasures.txt", `${lines.join("\n")}\n`);
});

function recipientOf(id: UserId): Buffer {
  return Buffer.concat([uuidToBytes(id), uuidToBytes(id)]);
}

function operationOf(id: UserId, index: number) {
  return {
    id: uuidToBytes(id),
    kind: Buffer.from("account_erasure"),
    requester_kind: Buffer.from("user"),
    requester_id: Buffer.from(id),
    state: 2,
    progress: 100,
    input: Buffer.alloc(0),
    fencing_token: 1,
    failures: 0,
    create_time_ms: NOW,
    expire_time_ms: NOW - index,
  };
}

function mailOf(id: UserId) {
  return {
    id: uuidToBytes(id),
    kind: Buffer.from("unlock"),
    state: 0,
    due_time_ms: NOW,
    attempts: 0,
    create_time_ms: NOW,
    useful_until_ms: NOW,
    payload: Buffer.alloc(10),
    recipient_key: recipientOf(id),
  };
}

function provisioningOf(id: UserId) {
  return {
    partner_id: uuidToBytes(id),
    external_id: Buffer.from(id),
    content_digest: randomBytes(32),
    organization_id: uuidToBytes(id),
    owner_id: uuidToBytes(id),
    create_time_ms: NOW,
  };
}

function responseOf(id: UserId) {
  return {
    scope: Buffer.from(`${userScope(id)}/muster.Method`),
    idempotency_key: Buffer.from("key"),
    token: uuidToBytes(id),
    fingerprint: randomBytes(32),
    lease_until_ms: NOW,
    expire_time_ms: NOW,
  };
}

function activityOf(id: UserId) {
  return {
    user_id: uuidToBytes(id),
    create_time_ms: NOW,
    id: uuidToBytes(id),
    kind: Buffer.from("profile_updated"),
    client: Buffer.alloc(0),
    client_address: Buffer.alloc(0),
  };
}
