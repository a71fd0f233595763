// Runs Mailer and MailWorker on a test database, with a real mail server.
import { randomIds } from "@muster/core";
import type { Database, Engine, Transaction } from "@muster/db";
import type { LogFields, Logger } from "@muster/log";
import { type SmtpTimeouts, SmtpTransport } from "@muster/mail/smtp";
import { Metrics } from "@muster/metrics";
import { FakeClock, openTestDatabase, type TestDatabase, waitFor, withClock } from "@muster/testkit";
import { MailServer } from "@muster/testkit/mail-server";
import { MailWorker } from "../src/mail/mail-worker.ts";
import { Mailer, type MailRequest } from "../src/mail/mailer.ts";
import type { MailKind } from "../src/mail/texts/mail-kind.ts";

const MIGRATIONS = new URL("../migrations/", import.meta.url);
const KEY = new Uint8Array(32).fill(5);

export interface JobRow {
  readonly kind: string;
  readonly state: number;
  readonly attempts: number;
  readonly due_time_ms: number;
  readonly failure: string | null;
  readonly payloadBytes: number;
}

export class MailHarness {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  readonly server: MailServer;
  readonly stored: TestDatabase;
  readonly database: Database;
  readonly mailer: Mailer;
  readonly #workers: MailWorker[] = [];
  readonly #transports: SmtpTransport[] = [];

  private constructor(stored: TestDatabase, server: MailServer) {
    this.stored = stored;
    this.server = server;
    this.database = withClock(stored.database, this.clock);
    this.mailer = new Mailer({
      clock: this.clock,
      ids: randomIds,
      metrics: this.metrics,
      key: KEY,
      publicUrl: "https://muster.test",
      wake: () => {
        for (const worker of this.#workers) worker.wake();
      },
    });
  }

  static async open(engine: Engine): Promise<MailHarness> {
    return new MailHarness(await openTestDatabase(engine, MIGRATIONS), await MailServer.start());
  }

  /** A replica with a database pool and connections of its own. */
  async startWorker(
    options: {
      readonly wrap?: (database: Database) => Database;
      readonly timeouts?: Partial<SmtpTimeouts>;
      readonly url?: string;
      readonly key?: Uint8Array;
    } = {},
  ): Promise<MailWorker> {
    const pool = withClock(await this.stored.openAnother(), this.clock);
    const { url = this.server.url, timeouts = {}, key = KEY } = options;
    const transport = new SmtpTransport({ url, from: "no-reply@muster.test", timeouts });
    const worker = new MailWorker({
      database: options.wrap?.(pool) ?? pool,
      clock: this.clock,
      log: this.#logger(),
      metrics: this.metrics,
      transport,
      key,
    });
    this.#workers.push(worker);
    this.#transports.push(transport);
    await worker.start();
    return worker;
  }

  /** Queues a mail in a transaction of its own, and wakes the workers. */
  async send<K extends MailKind>(request: MailRequest<K>): Promise<void> {
    await this.inTransaction((trx) => this.mailer.queue(trx, request));
    this.mailer.wake();
  }

  /** Queues a mail with a link. */
  sendLink(to: string, name = "Ada"): Promise<void> {
    return this.send({
      kind: "verify_email",
      to,
      locale: "en",
      values: { name, token: "token-of-the-link" },
    });
  }

  inTransaction<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(body);
  }

  async jobs(): Promise<JobRow[]> {
    const rows = await this.database
      .reader("mail_jobs")
      .select("kind", "state", "attempts", "due_time_ms", "failure", "payload")
      .orderBy("id");
    return rows.map(({ payload, kind, failure, ...row }) => ({
      ...row,
      kind: kind.toString(),
      failure: failure?.toString() ?? null,
      payloadBytes: payload.length,
    }));
  }

  /** Lets the server keep the next mail without a response, until `release` accepts it. */
  async holdMail(begin: () => Promise<unknown>): Promise<{ readonly release: () => void }> {
    let release = (): void => {};
    let isHeld = false;
    const released = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
    this.server.onMail = () => {
      isHeld = true;
      return released;
    };
    await begin();
    await this.until(() => isHeld, "a mail at the server");
    this.server.onMail = () => undefined;
    return { release };
  }

  /** Waits until so many mails have arrived; advances the clock meanwhile, so that pauses end. */
  async untilReceived(count: number, server = this.server): Promise<void> {
    await this.until(() => server.received.length >= count, `${count} mails`);
  }

  async untilNoJobs(): Promise<void> {
    await this.until(async () => (await this.jobs()).length === 0, "the end of all jobs");
  }

  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const check = async (): Promise<boolean> => {
      if (await holds()) return true;
      await this.clock.advance(1_000);
      return false;
    };
    await waitFor(check, { what, timeoutMs: 15_000 });
  }

  async count(name: string, label?: string): Promise<number> {
    const series = await this.metrics.registry.getSingleMetric(name)?.get();
    const values = (series?.values ?? []).filter(
      ({ labels }) => label === undefined || Object.values(labels).includes(label),
    );
    return values.reduce((sum, { value }) => sum + value, 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await Promise.all(this.#transports.map((transport) => transport.close()));
    await this.server.stop();
    await this.stored.close();
  }

  #logger(): Logger {
    const at = (level: string) => (fields: LogFields, message: string) => {
      this.lines.push({ level, message, fields });
    };
    const log: Logger = {
      error: at("error"),
      warn: at("warn"),
      info: at("info"),
      debug: at("debug"),
      child: () => log,
    };
    return log;
  }
}
