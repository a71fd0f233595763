// Checks the plans of the statements about mails on MariaDB: every statement uses a key.
import { randomBytes } from "node:crypto";
import { randomIds, uuidToBytes } from "@muster/core";
import { openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claimMailJob, deleteDeadMailJobs } from "../src/mail/mail-job-store.ts";
import { countMail, deleteExpiredQuotas } from "../src/mail/mail-quota-store.ts";

const MIGRATIONS = new URL("../migrations/", import.meta.url);
const ROWS = 2_000;
const NOW = Date.UTC(2026, 0, 1);

let stored: TestDatabase;
beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction(async (trx) => {
    const jobs = Array.from({ length: ROWS }, (_, index) => ({
      id: uuidToBytes(randomIds.next(NOW)),
      kind: Buffer.from("unlock"),
      state: index % 2,
      due_time_ms: NOW + index - ROWS / 2,
      attempts: 0,
      create_time_ms: NOW,
      useful_until_ms: NOW,
      payload: Buffer.alloc(10),
      failure: null,
    }));
    const quotas = Array.from({ length: ROWS }, (_, index) => ({
      quota_key: randomBytes(32),
      sent_times: Buffer.alloc(8),
      expire_time_ms: NOW + index - ROWS / 2,
    }));
    await trx.batchInsert("mail_jobs", jobs, 500);
    await trx.batchInsert("mail_quotas", quotas, 500);
  });
  await stored.database.transaction((trx) => trx.raw("ANALYZE TABLE mail_jobs, mail_quotas"));
}, 60_000);
afterAll(() => stored.close());

test("claims, sweeps and counts read by keys", async () => {
  if (!(await isMariaDb(stored.database))) return;
  const { database } = stored;
  const claim = await plansOfChanges(database, (trx) => claimMailJob(trx, NOW, NOW + 1));
  expect(claim.map(({ key }) => key)).toContain("mail_jobs_due_ix");
  expectIndexed(claim, "claim");
  expectIndexed(await plansOfChanges(database, (trx) => deleteDeadMailJobs(trx, NOW, 50)), "dead jobs");
  expectIndexed(await plansOfChanges(database, (trx) => deleteExpiredQuotas(trx, NOW, 50)), "quotas");
  expectIndexed(await plansOfChanges(database, (trx) => countMail(trx, randomBytes(32), NOW)), "count");
});
