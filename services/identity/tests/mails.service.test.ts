// Tests mails from the transaction that queues them to a real mail server.
import { CrashingDatabase, ENGINES, findInTables, waitFor } from "@muster/testkit";
import { MailServer } from "@muster/testkit/mail-server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MailHarness } from "./mail-harness.ts";

const ADA = "Ada.Lovelace@example.test";

describe.each(ENGINES)("mails on %s", (engine) => {
  let harness: MailHarness;
  beforeEach(async () => {
    harness = await MailHarness.open(engine);
  });
  afterEach(() => harness.close());

  test("a queued mail arrives at the stored spelling, in the language of its owner, and the job ends", async () => {
    await harness.startWorker();
    await harness.send({
      kind: "password_reset",
      to: ADA,
      locale: "de-AT",
      values: { name: "Ada", token: "the-token" },
    });
    await harness.untilReceived(1);
    const [mail] = harness.server.received;
    expect(mail?.recipients).toEqual([ADA]);
    expect(mail?.parsed.subject).toBe("Setzen Sie Ihr Passwort zurück");
    expect(mail?.parsed.text).toContain("https://muster.test/m/reset-password#token=the-token\n");
    expect(mail?.parsed.html).toContain('href="https://muster.test/m/reset-password#token=the-token"');
    await harness.untilNoJobs();
    expect(await harness.count("muster_mails_sent_total", "password_reset")).toBe(1);
  });

  test("a transaction that rolls back queues nothing", async () => {
    await harness.startWorker();
    const failed = harness.inTransaction(async (trx) => {
      await harness.mailer.queue(trx, {
        kind: "password_changed",
        to: ADA,
        locale: "en",
        values: { name: "Ada", time: "" },
      });
      throw new Error("rolled back");
    });
    await expect(failed).rejects.toThrow("rolled back");
    harness.mailer.wake();
    await harness.sendLink("bob@example.test");
    await harness.untilReceived(1);
    expect(harness.server.received.map(({ recipients }) => recipients)).toEqual([["bob@example.test"]]);
    expect(await harness.database.reader("mail_quotas").select("quota_key")).toHaveLength(1);
  });

  test("neither address, name nor token is stored in clear", async () => {
    await harness.sendLink(ADA, "Lovelace of London");
    for (const text of ["lovelace", "Lovelace", "token-of"]) {
      expect(await findInTables(harness.database, text)).toEqual([]);
    }
  });

  test("of twenty requests at once, five mails of a kind go to an address, in any spelling", async () => {
    const spellings = [ADA, ADA.toLowerCase(), ` ${ADA.toUpperCase()} `];
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => harness.sendLink(spellings[index % 3] ?? ADA)),
    );
    expect(await harness.jobs()).toHaveLength(5);
    // Limits count each kind and each address separately.
    await harness.send({ kind: "unlock", to: ADA, locale: "en", values: { name: "", token: "t" } });
    await harness.sendLink("bob@example.test");
    expect(await harness.jobs()).toHaveLength(7);
    await harness.clock.advance(60 * 60_000);
    await harness.sendLink(ADA);
    expect(await harness.jobs()).toHaveLength(8);
  });

  test("an address without an account costs the same statements and gets nothing", async () => {
    const statementsOf = async (to: string, isDecoy: boolean): Promise<string[]> => {
      const statements: string[] = [];
      await harness.inTransaction(async (trx) => {
        trx.on("query", ({ sql }: { sql: string }) => statements.push(sql));
        const values = { name: "Ada", token: "token" };
        await harness.mailer.queue(trx, { kind: "password_reset", to, locale: "en", values, isDecoy });
      });
      return statements;
    };
    for (let index = 0; index < 6; index += 1) {
      expect(await statementsOf("nobody@example.test", true)).toEqual(await statementsOf(ADA, false));
    }
    expect(await harness.jobs()).toHaveLength(10);
    await harness.startWorker();
    await harness.untilNoJobs();
    expect(harness.server.received.map(({ recipients }) => recipients)).toEqual(Array(5).fill([ADA]));
  });

  test("an address that is no address is never sent to", async () => {
    await harness.startWorker();
    for (const to of [
      "a@b.test\r\nRCPT TO:<eve@evil.test>",
      "a@b.test, eve@evil.test",
      '"eve@evil.test"@b.test',
    ]) {
      await harness.sendLink(to);
    }
    await harness.sendLink(ADA);
    await harness.untilNoJobs();
    expect(harness.server.received.map(({ recipients }) => recipients)).toEqual([[ADA]]);
  });

  test("three replicas send each of forty mails once", async () => {
    const addresses = Array.from({ length: 40 }, (_, index) => `person-${index}@example.test`);
    await Promise.all(addresses.map((address) => harness.sendLink(address)));
    await Promise.all([harness.startWorker(), harness.startWorker(), harness.startWorker()]);
    await harness.untilNoJobs();
    const received = harness.server.received.flatMap(({ recipients }) => recipients);
    expect(received.sort()).toEqual(addresses.sort());
  });

  test("an outage is one line, uses up few attempts, and ends by itself", async () => {
    const { port } = harness.server;
    await harness.server.stop();
    await harness.startWorker();
    const addresses = Array.from({ length: 30 }, (_, index) => `person-${index}@example.test`);
    for (const address of addresses) await harness.sendLink(address);
    await harness.until(
      async () => (await harness.count("muster_mail_failures_total", "outage")) >= 4,
      "failures",
    );
    const back = await MailServer.start({ port });
    try {
      await harness.untilReceived(addresses.length, back);
      await harness.untilNoJobs();
    } finally {
      await back.stop();
    }
    expect(harness.lines.map(({ level, message }) => [level, message])).toEqual([
      ["warn", "mails cannot be sent; retrying"],
      ["info", "mails are sent again"],
    ]);
    expect(JSON.stringify(harness.lines)).not.toContain("example.test");
    // Each pause costs an attempt for each connection, not one for each mail.
    expect(await harness.count("muster_mail_failures_total", "outage")).toBeLessThan(addresses.length);
  });

  test("a refused recipient is given up at once, and the mails of others go out", async () => {
    harness.server.onRecipient = (address) =>
      address.startsWith("nobody") ? { code: 550, text: `<${address}> unknown` } : undefined;
    await harness.startWorker();
    await harness.sendLink("nobody@example.test");
    await harness.sendLink(ADA);
    await harness.untilReceived(1);
    await harness.until(async () => (await harness.jobs()).length === 1, "the dead job");
    expect(await harness.jobs()).toEqual([
      expect.objectContaining({ state: 1, attempts: 1, failure: "550", payloadBytes: 0 }),
    ]);
    expect(harness.lines.map(({ message }) => message)).toEqual(["a mail was given up"]);
    expect(JSON.stringify(harness.lines)).not.toContain("nobody");
    expect(await harness.count("muster_mails_dead_total")).toBe(1);
    harness.clock.setNowMs(harness.clock.nowMs() + 7 * 24 * 60 * 60_000);
    await harness.untilNoJobs();
  });

  test("a temporary refusal is tried again later, without a line for the outage log", async () => {
    let refusals = 0;
    harness.server.onRecipient = () => {
      refusals += 1;
      return refusals <= 2 ? { code: 450, text: "try again later" } : undefined;
    };
    await harness.startWorker();
    const startMs = harness.clock.nowMs();
    await harness.sendLink(ADA);
    await harness.untilReceived(1);
    expect(harness.clock.nowMs() - startMs).toBeGreaterThanOrEqual(90_000);
    expect(harness.lines).toEqual([]);
    expect(await harness.count("muster_mail_failures_total", "deferred")).toBe(2);
  });

  test("a crash between sending and commit sends the mail again, with the same Message-ID", async () => {
    const crashing = new CrashingDatabase();
    await harness.sendLink(ADA);
    // The transaction after the delivery deletes the job. Other lanes claim jobs at the same time, so that a single
    // crash could be theirs.
    harness.server.onMail = () => {
      crashing.crashes = new Array(1_000).fill("before");
      return undefined;
    };
    await harness.startWorker({ wrap: crashing.wrap });
    await harness.untilReceived(1);
    harness.server.onMail = () => undefined;
    // Counted just before that transaction.
    await waitFor(async () => (await harness.count("muster_mails_sent_total")) === 1);
    crashing.crashes = [];
    const startMs = harness.clock.nowMs();
    await harness.untilReceived(2);
    expect(harness.clock.nowMs() - startMs).toBeGreaterThanOrEqual(2 * 60_000);
    const [first, second] = harness.server.received;
    expect(first?.parsed.messageId).toMatch(/^<[0-9a-f-]{36}@muster\.test>$/);
    expect(second?.parsed.messageId).toBe(first?.parsed.messageId);
    await harness.untilNoJobs();
  });

  test("a replica that is frozen while it sends does not stop the mail, and its late result changes nothing", async () => {
    await harness.startWorker();
    const { release } = await harness.holdMail(() => harness.sendLink(ADA));
    await harness.startWorker();
    await harness.untilReceived(1);
    await harness.untilNoJobs();
    await harness.sendLink("bob@example.test");
    await harness.untilReceived(2);
    release();
    await harness.untilReceived(3);
    await harness.untilNoJobs();
    expect(harness.server.received.map(({ recipients }) => recipients[0])).toEqual([
      ADA,
      "bob@example.test",
      ADA,
    ]);
  });

  test("a stop lets a mail that is being sent end", async () => {
    const worker = await harness.startWorker();
    const { release } = await harness.holdMail(() => harness.sendLink(ADA));
    const stopped = worker.stop();
    release();
    await stopped;
    expect(await harness.jobs()).toEqual([]);
  });

  test("a stop cuts a mail that takes too long; another replica sends it at once", async () => {
    const worker = await harness.startWorker();
    await harness.holdMail(() => harness.sendLink(ADA));
    const stopped = worker.stop();
    await harness.clock.advance(5_000);
    await stopped;
    expect(await harness.jobs()).toEqual([expect.objectContaining({ attempts: 0, due_time_ms: 0 })]);
    const startMs = harness.clock.nowMs();
    await harness.startWorker();
    await harness.untilReceived(1);
    expect(harness.clock.nowMs() - startMs).toBeLessThan(60_000);
  });

  test("a mail that came too late to be of use is dropped", async () => {
    await harness.send({ kind: "magic_link", to: ADA, locale: "en", values: { name: "", token: "t" } });
    await harness.clock.advance(10 * 60_000);
    await harness.startWorker();
    await harness.until(async () => (await harness.jobs())[0]?.state === 1, "the end of the mail");
    expect((await harness.jobs())[0]).toMatchObject({ failure: "EXPIRED", payloadBytes: 0 });
    expect(harness.server.received).toEqual([]);
  });

  test("a job that another installation sealed is given up", async () => {
    await harness.sendLink(ADA);
    await harness.startWorker({ key: new Uint8Array(32).fill(6) });
    await harness.until(async () => (await harness.jobs())[0]?.state === 1, "the end of the mail");
    expect((await harness.jobs())[0]).toMatchObject({ failure: "UNREADABLE" });
  });

  test("a mail with which processes die is given up after twenty attempts", async () => {
    await harness.sendLink(ADA);
    await harness.inTransaction((trx) => trx("mail_jobs").update({ attempts: 20 }));
    await harness.startWorker();
    await harness.until(async () => (await harness.jobs())[0]?.state === 1, "the end of the mail");
    expect((await harness.jobs())[0]).toMatchObject({ failure: "ATTEMPTS" });
    expect(harness.server.received).toEqual([]);
  });

  test("quotas without mails for a day are deleted", async () => {
    await harness.sendLink(ADA);
    const quotas = () => harness.database.reader("mail_quotas").pluck("quota_key");
    expect(await quotas()).toHaveLength(1);
    await harness.startWorker();
    await harness.untilNoJobs();
    harness.clock.setNowMs(harness.clock.nowMs() + 24 * 60 * 60_000);
    await harness.until(async () => (await quotas()).length === 0, "the end of the quota");
  });
});
