// Checks the plans of the statements about API keys and their usage on MariaDB: every statement uses a key.
import { type ApiKeyId, type OrganizationId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, type Plan, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import {
  claimReport,
  deleteOldReporters,
  deleteUsageBefore,
  readCallsByDay,
} from "../../src/api-key-usage/api-key-usage-store.ts";
import type { ApiKey } from "../../src/api-keys/api-key.ts";
import {
  endApiKey,
  findApiKey,
  findApiKeyByHash,
  findOrganizationsOfKeys,
  forgetMaker,
  listApiKeyPage,
  lockApiKey,
  lockApiKeysOf,
  removeApiKey,
  removeApiKeys,
  removeEndedApiKeys,
  saveApiKey,
  saveApiKeyUse,
} from "../../src/api-keys/api-key-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const KEYS = 4_000;
const ORGANIZATIONS = 20;
const NOW = Date.UTC(2026, 0, 1);
const TODAY = dayOf(NOW);

const organizationIds = Array.from({ length: ORGANIZATIONS }, () => randomIds.next<OrganizationId>(NOW));
const makerIds = Array.from({ length: 40 }, () => randomIds.next<UserId>(NOW));
const keyIds = Array.from({ length: KEYS }, () => randomIds.next<ApiKeyId>(NOW));
const reporterIds = Array.from({ length: 1_000 }, () => randomIds.next(NOW));
const organizationId = organizationIds[3] as OrganizationId;
const createdBy = makerIds[3] as UserId;
const id = keyIds[3] as ApiKeyId;
const key = { id, organizationId, name: "A key", scopes: ["events.read"] } as unknown as ApiKey;
const hashOf = (index: number): Buffer => Buffer.from(String(index).padStart(32, "0"));

let stored: TestDatabase;

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction(async (trx) => {
    const organizations = organizationIds.map((of) => ({
      id: uuidToBytes(of),
      name: Buffer.from("Acme"),
      create_time_ms: NOW,
    }));
    const keys = keyIds.map((of, index) => ({
      id: uuidToBytes(of),
      organization_id: uuidToBytes(organizationIds[index % ORGANIZATIONS] as string),
      name: Buffer.from("A key"),
      prefix: Buffer.from("mk_live_abcdefgh"),
      key_hash: hashOf(index),
      scopes: "[]",
      create_time_ms: NOW + index,
      expire_time_ms: index % 5 === 0 ? NOW + index : null,
      created_by: uuidToBytes(makerIds[index % makerIds.length] as string),
    }));
    const usage = keyIds.map((of, index) => ({
      organization_id: uuidToBytes(organizationIds[index % ORGANIZATIONS] as string),
      api_key_id: uuidToBytes(of),
      day: TODAY - (index % 90),
      calls: 1,
    }));
    const reporters = reporterIds.map((of, index) => ({
      reporter_id: uuidToBytes(of),
      sequence: 1,
      update_time_ms: NOW + index,
    }));
    await trx.batchInsert("organizations", organizations, 500);
    await trx.batchInsert("api_keys", keys, 500);
    await trx.batchInsert("api_key_usage", usage, 500);
    await trx.batchInsert("api_key_usage_reporters", reporters, 500);
  });
  const tables = "organizations, api_keys, api_key_usage, api_key_usage_reporters";
  await stored.database.transaction((trx) => trx.raw(`ANALYZE TABLE ${tables}`));
}, 60_000);
afterAll(() => stored.close());

const after = { createTimeMs: NOW + 3, id };
const reads: Record<string, (db: Queryable) => Promise<unknown>> = {
  "key by its hash": (db) => findApiKeyByHash(db, hashOf(7)),
  "key by its id": (db) => findApiKey(db, organizationId, id),
  "organizations of keys": (db) => findOrganizationsOfKeys(db, keyIds.slice(0, 40)),
  "first page": (db) => listApiKeyPage(db, { organizationId, nowMs: NOW }, undefined, 51),
  "next page": (db) => listApiKeyPage(db, { organizationId, nowMs: NOW }, after, 51),
  "first page of a maker": (db) =>
    listApiKeyPage(db, { organizationId, createdBy, nowMs: NOW }, undefined, 51),
  "next page of a maker": (db) => listApiKeyPage(db, { organizationId, createdBy, nowMs: NOW }, after, 51),
  "usage of a key": (db) => readCallsByDay(db, key, TODAY - 29, TODAY),
};
const changes: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "locked key": (trx) => lockApiKey(trx, organizationId, id),
  "changed key": (trx) => saveApiKey(trx, key),
  "removed key": (trx) => removeApiKey(trx, organizationId, id),
  "rotated key": (trx) => endApiKey(trx, key, NOW),
  "last use": (trx) => saveApiKeyUse(trx, key, NOW, NOW - 60_000),
  "keys of a removed maker": (trx) => lockApiKeysOf(trx, organizationId, createdBy, 101),
  "removed keys": (trx) => removeApiKeys(trx, keyIds.slice(0, 40)),
  "keys of a maker whose data is erased": (trx) => forgetMaker(trx, createdBy, organizationId),
  "keys of an erased account": (trx) => forgetMaker(trx, createdBy),
  "ended keys": (trx) => removeEndedApiKeys(trx, organizationId, NOW + 500),
  "claimed report": (trx) => claimReport(trx, { reporterId: reporterIds[3] ?? "", sequence: 2 }, NOW),
  "old usage": (trx) => deleteUsageBefore(trx, TODAY - 88, 128),
  "old reporters": (trx) => deleteOldReporters(trx, NOW + 10, 500),
};

test("reads and changes use keys, and pages are not sorted", async () => {
  if (!(await isMariaDb(stored.database))) return;
  const lines: string[] = [];
  const record = (name: string, plans: readonly Plan[]): void => {
    expectIndexed(plans, name);
    for (const { table, type, key: used } of plans) lines.push(`${name}: ${table} ${type} ${used}`);
  };
  for (const [name, run] of Object.entries(reads)) record(name, await plansOf(stored.database, run));
  for (const [name, run] of Object.entries(changes)) record(name, await plansOfChanges(stored.database, run));
  await golden("plans/api-keys.txt", `${lines.join("\n")}\n`);
});
