// Checks the plans of the statements of login analytics on MariaDB: every statement uses a key.
import { type OrganizationId, randomIds, SHARD_COUNT, shardOf, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, type Plan, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { countLoginsByUser, listMostLogins } from "../../src/login-analytics/login-count-store.ts";
import { countLogins } from "../../src/login-counts/count-logins.ts";
import { deleteDailyCountsBefore, readLoginsByDay } from "../../src/login-counts/login-daily-store.ts";
import {
  deleteLoginsBefore,
  type LoginEvent,
  listLeavingLogins,
} from "../../src/login-counts/login-event-store.ts";
import { listChangedUsers, listTotals, subtractLogins } from "../../src/login-counts/login-totals-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";
import { listInactiveMembers } from "../../src/memberships/inactive-member-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const ORGANIZATIONS = 2;
const USERS = 2_000;
const NOW = Date.UTC(2026, 0, 1);
const TODAY = dayOf(NOW);

let stored: TestDatabase;
const organizationIds = Array.from({ length: ORGANIZATIONS }, () => randomIds.next<OrganizationId>(NOW));
const organizationId = organizationIds[1] as OrganizationId;
const userIds = Array.from({ length: USERS }, () => randomIds.next<UserId>(NOW));
const userId = userIds[3] as UserId;

function login(of: OrganizationId, by: UserId, day: number, position: number): LoginEvent {
  const shard = shardOf(of, by);
  return { organizationId: of, userId: by, loginId: randomIds.next(NOW), day, shard, position, timeMs: NOW };
}

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction(async (trx) => {
    for (const of of organizationIds) {
      const logins = userIds.flatMap((by, index) =>
        [0, 1, 2].map((ageDays) => login(of, by, TODAY - (index % 90) - ageDays, index * 3 + ageDays)),
      );
      await countLogins(trx, logins, TODAY);
      const members = userIds.map((by, index) => ({
        organization_id: uuidToBytes(of),
        user_id: uuidToBytes(by),
        name: Buffer.from("Ada"),
        role: Buffer.from("member"),
        status: Buffer.from("active"),
        last_login_time_ms: index % 3 === 0 ? null : NOW - index,
        create_time_ms: NOW,
        update_time_ms: NOW,
      }));
      await trx.batchInsert("memberships", members, 500);
    }
  });
  const tables = ["login_events", "login_daily", "login_totals", "login_windows", "memberships"];
  await stored.database.transaction((trx) => trx.raw(`ANALYZE TABLE ${tables.join(", ")}`));
}, 60_000);
afterAll(() => stored.close());

const positions = new Array<number>(SHARD_COUNT).fill(5_990);
/** Few users sign in between two pages. */
const recent = new Array<number>(SHARD_COUNT).fill(9_000);
const scope = { organizationId, windowDays: 7, asOf: { timeMs: NOW, day: TODAY, positions } };
const last = { logins: 2, userId };

/** Reads that sort a result of bounded size. */
const counts: Record<string, (db: Queryable) => Promise<unknown>> = {
  "logins of dates": (db) => readLoginsByDay(db, organizationId, TODAY - 29, TODAY),
  "users counted one by one": (db) => countLoginsByUser(db as Transaction, scope, userIds.slice(0, 9)),
  "all users counted": (db) => listMostLogins(db as Transaction, scope, last, 51),
};

const reads: Record<string, (db: Queryable) => Promise<unknown>> = {
  "first page of top logins": (db) => listTotals(db, organizationId, 7, undefined, 51),
  "next page of top logins": (db) => listTotals(db, organizationId, 7, last, 51),
  "users with later logins": (db) => listChangedUsers(db, organizationId, 7, recent, 1_001),
  "logins that leave a window": (db) =>
    listLeavingLogins(db, 3, { day: TODAY - 8, position: 5 }, TODAY - 7, 500),
  "inactive members": (db) =>
    listInactiveMembers(db, organizationId, { beforeMs: NOW - 100, after: undefined, limit: 501 }),
  "next page of inactive members": (db) =>
    listInactiveMembers(db, organizationId, {
      beforeMs: NOW,
      after: { timeMs: NOW - 250, userId },
      limit: 51,
    }),
};

const changes: Record<string, (trx: Transaction) => Promise<unknown>> = {
  "a batch of logins": (trx) =>
    countLogins(
      trx,
      userIds.slice(0, 40).map((by, index) => login(organizationId, by, TODAY, 9_000 + index)),
      TODAY,
    ),
  "logins taken out of a window": (trx) =>
    subtractLogins(trx, [
      {
        organizationId,
        windowDays: 7,
        userId,
        shard: shardOf(organizationId, userId),
        logins: 1,
        position: 1,
      },
    ]),
  "old logins": (trx) => deleteLoginsBefore(trx, 3, TODAY - 88),
  "old counts": (trx) => deleteDailyCountsBefore(trx, 3, TODAY - 88),
};

test("reads and changes use keys", async () => {
  if (!(await isMariaDb(stored.database))) return;
  const lines: string[] = [];
  const record = (name: string, plans: readonly Plan[], maySort: boolean): void => {
    expectIndexed(plans, name, { maySort });
    for (const { table, type, key } of plans) lines.push(`${name}: ${table} ${type} ${key}`);
  };
  for (const [name, run] of Object.entries(reads)) record(name, await plansOf(stored.database, run), false);
  for (const [name, run] of Object.entries(counts)) record(name, await plansOf(stored.database, run), true);
  for (const [name, run] of Object.entries(changes))
    record(name, await plansOfChanges(stored.database, run), true);
  await golden("plans/login-analytics.txt", `${lines.join("\n")}\n`);
});
