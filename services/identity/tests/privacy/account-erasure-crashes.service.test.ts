// Tests that the erasure of an account survives a crash around each transaction: no row is left, and each row counts
// exactly once.
import { randomBytes } from "node:crypto";
import { type OrganizationId, randomIds, type SessionId, type UserId, uuidToBytes } from "@muster/core";
import { Metrics } from "@muster/metrics";
import { userScope } from "@muster/rpc";
import {
  CrashingDatabase,
  ENGINES,
  FakeClock,
  findInTables,
  openTestDatabase,
  type TestDatabase,
} from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountErasureRunner } from "../../src/account-deletion/account-erasure-runner.ts";
import { beginAccountErasure } from "../../src/account-deletion/account-erasure-store.ts";
import { insertActivity } from "../../src/activity/activity-store.ts";
import type { IdentityDeps } from "../../src/deps.ts";
import { insertExport } from "../../src/exports/export-store.ts";
import { insertLogins } from "../../src/login-counts/login-event-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";
import { Mailer } from "../../src/mail/mailer.ts";
import { OperationStore } from "../../src/operations/operation-store.ts";
import { insertSession } from "../../src/sessions/session-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const KEY = new Uint8Array(32).fill(7);
const KIND = "account_erasure";
const LEASE_MS = 60_000;
/** The rows that an erasure removes. */
const COUNTS = {
  "identity.mail_jobs": 2,
  "identity.idempotency_keys": 2,
  "identity.exports": 2,
  "identity.sessions": 2,
  "identity.user_activities": 2,
  "identity.login_events": 2,
};

describe.each(ENGINES)("the erasure of an account on %s", (engine) => {
  let stored: TestDatabase;
  const clock = new FakeClock();
  const crashing = new CrashingDatabase();
  let deps: IdentityDeps;

  beforeAll(async () => {
    stored = await openTestDatabase(engine, MIGRATIONS);
    const mail = {
      clock,
      ids: randomIds,
      metrics: new Metrics(),
      key: KEY,
      publicUrl: "https://muster.test",
    };
    deps = {
      clock,
      ids: randomIds,
      database: crashing.wrap(stored.database),
      operations: new OperationStore(KEY),
      mailer: new Mailer({ ...mail, wake: () => {} }),
      accountErasureKey: KEY,
    } as Partial<IdentityDeps> as IdentityDeps;
  });
  afterAll(() => stored.close());

  /** The rows of a deleted account, as the transaction of the deletion leaves them. */
  async function deletedAccount(): Promise<{ readonly userId: UserId; readonly operationId: string }> {
    const nowMs = clock.nowMs();
    const userId = randomIds.next<UserId>(nowMs);
    const operationId = randomIds.next(nowMs);
    const to = `${userId}@example.com`;
    const organizationIds = [0, 1].map(() => randomIds.next<OrganizationId>(nowMs));
    await stored.database.transaction(async (trx) => {
      for (const [index, organizationId] of organizationIds.entries()) {
        await insertSession(trx, {
          id: randomIds.next<SessionId>(nowMs),
          userId,
          organizationId,
          createTimeMs: nowMs,
          lastUsedTimeMs: nowMs,
          authenticatedTimeMs: nowMs,
          authenticationMethods: ["password"],
          expireTimeMs: nowMs,
          endTimeMs: nowMs,
          client: "Browser",
          clientAddress: "192.0.2.7",
        });
        const login = { organizationId, userId, loginId: randomIds.next(nowMs), timeMs: nowMs };
        await insertLogins(trx, [{ ...login, day: dayOf(nowMs), shard: 0, position: 0 }]);
        await insertActivity(trx, deps, { userId, kind: "profile_updated", timeMs: nowMs + index });
        const requester = { kind: "user", id: userId } as const;
        const id = randomIds.next(nowMs);
        await insertExport(trx, { id, organizationId, userId, requester, createTimeMs: nowMs });
        await trx("idempotency_keys").insert({
          scope: Buffer.from(`${userScope(userId)}${organizationId}/muster.Method`),
          idempotency_key: Buffer.from("key"),
          token: uuidToBytes(id),
          fingerprint: randomBytes(32),
          lease_until_ms: nowMs,
          expire_time_ms: nowMs,
          response: randomBytes(100),
        });
        // More chunks than a transaction deletes.
        const chunks = Array.from({ length: index === 0 ? 41 : 1 }, (_, number) => ({
          export_id: uuidToBytes(id),
          number,
          payload: randomBytes(10),
        }));
        await trx.batchInsert("export_chunks", chunks, 50);
      }
      const mail = { to, locale: undefined, values: { name: "Ada", time: "now" } };
      for (const kind of ["password_changed", "account_changed", "account_deleted"] as const) {
        await deps.mailer.queue(trx, { ...mail, kind });
      }
      await deps.operations.insert(trx, {
        id: operationId,
        kind: KIND,
        organizationId: undefined,
        requester: { kind: "user", id: userId },
        permission: undefined,
        input: { user_id: userId, recipients: [deps.mailer.recipientKeyOf(to)] },
        createTimeMs: nowMs,
      });
      await beginAccountErasure(trx, KEY, userId, nowMs);
    });
    return { userId, operationId };
  }

  async function placesOf(userId: UserId): Promise<string[]> {
    const ofText = await findInTables(stored.database, userId);
    return [...ofText, ...(await findInTables(stored.database, uuidToBytes(userId)))];
  }

  /** A process takes the operation and works until it is done or dies. */
  async function runOnce(): Promise<void> {
    const nowMs = clock.nowMs();
    const lease = { nowMs, untilMs: nowMs + LEASE_MS };
    const operation = await stored.database.transaction((trx) => deps.operations.claim(trx, [KIND], lease));
    if (operation === undefined) throw new Error("no operation is due");
    const { signal } = new AbortController();
    await accountErasureRunner(deps).run({ operation, signal, renew: async () => {} });
  }

  test.each(["before", "after"] as const)(
    "survives a crash %s each commit",
    async (crash) => {
      for (let step = 0, isCrashed = true; isCrashed; step += 1) {
        const { userId, operationId } = await deletedAccount();
        crashing.crashes = [...Array.from({ length: step }, () => "no" as const), crash];
        await runOnce().catch(() => {});
        isCrashed = crashing.crashes.length === 0;
        crashing.crashes = [];
        const ofOperation = { id: uuidToBytes(operationId) };
        const [row] = await stored.database.reader("operations").where(ofOperation);
        // The next process waits for the end of the lease.
        clock.setNowMs(clock.nowMs() + LEASE_MS);
        if (row.state === 1) await runOnce();
        const operation = await stored.database.transaction((trx) => deps.operations.find(trx, operationId));
        const locations = Object.entries(COUNTS).map(([location, count]) => ({ location, count }));
        expect(operation, `step ${step}`).toMatchObject({ state: "succeeded", result: { locations } });
        const receipts = await stored.database.reader("account_erasures").orderBy("create_time_ms", "desc");
        expect(JSON.parse(String(receipts[0].counts))).toEqual(COUNTS);
        expect(receipts[0].complete_time_ms).not.toBeNull();
        const mails = await stored.database.reader("mail_jobs").pluck("kind");
        expect(mails.map(String)).toEqual(["account_deleted"]);
        await stored.database.transaction((trx) => trx("mail_jobs").delete());
        if (!isCrashed) expect(await placesOf(userId)).toEqual(["operations.requester_id"]);
      }
    },
    60_000,
  );
});
