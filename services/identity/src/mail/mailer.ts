// Queues mails inside the transaction of the change that causes them.
import { type Clock, canonicalEmail, emailProblem, type IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Metrics } from "@muster/metrics";
import { deleteMailJobsTo, insertMailJob } from "./mail-job-store.ts";
import { MailSeal } from "./mail-payload.ts";
import { countMail } from "./mail-quota-store.ts";
import { type MailContent, renderMail } from "./render-mail.ts";
import { type MailKind, mailKinds } from "./texts/mail-kind.ts";

export interface MailRequest<K extends MailKind = MailKind> extends MailContent<K> {
  /** The address as its owner spells it. */
  readonly to: string;
  /**
   * True for an address without an account. The same statements run, so that neither time nor load shows the
   * difference; nothing is sent.
   */
  readonly isDecoy?: boolean;
}

export interface MailerOptions {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  /** The key of the installation for mails. */
  readonly key: Uint8Array;
  /** Begins the links of mails. */
  readonly publicUrl: string;
  /** Starts to send queued mails. */
  readonly wake: () => void;
}

/** Mails that one transaction erases. */
const ERASED_AT_ONCE = 500;

export class Mailer {
  readonly #options: MailerOptions;
  readonly #seal: MailSeal;
  readonly #queued: ReturnType<Metrics["counter"]>;

  constructor(options: MailerOptions) {
    this.#options = options;
    this.#seal = new MailSeal(options.key);
    this.#queued = options.metrics.counter(
      "muster_mails_queued_total",
      "Mails queued, also by transactions that rolled back later.",
      ["kind"],
    );
  }

  /**
   * Queues a mail, unless the address has received too many of the kind; false then, which no response may show.
   * Call {@link wake} after the commit.
   */
  async queue<K extends MailKind>(trx: Transaction, request: MailRequest<K>): Promise<boolean> {
    const { clock, ids, publicUrl } = this.#options;
    const { kind, to, isDecoy = false } = request;
    const nowMs = clock.nowMs();
    const rendered = renderMail(request, publicUrl);
    const id = ids.next(nowMs);
    const isSent = !isDecoy && emailProblem(to) === undefined;
    const payload = this.#seal.seal(id, { ...rendered, to: isSent ? to.trim() : null });
    const address = canonicalEmail(to);
    if (!(await countMail(trx, this.#seal.quotaKeyOf(address, kind), nowMs))) return false;
    const usefulUntilMs = nowMs + mailKinds[kind].usefulMs;
    const recipientKey = this.#seal.recipientKeyOf(address);
    await insertMailJob(trx, { id, kind, createTimeMs: nowMs, usefulUntilMs, payload, recipientKey });
    this.#queued.inc({ kind });
    return true;
  }

  /** Names the address in {@link eraseSome}. No digest is the digest of another address. */
  recipientKeyOf(address: string): string {
    return this.#seal.recipientKeyOf(canonicalEmail(address)).toString("base64url");
  }

  /** Deletes some waiting mails to an erased person, except for the notices of the erasure. Resolves to the number. */
  eraseSome(trx: Transaction, recipientKey: string): Promise<number> {
    const key = Buffer.from(recipientKey, "base64url");
    return deleteMailJobsTo(trx, key, ["account_deleted", "erasure_approved"], ERASED_AT_ONCE);
  }

  wake(): void {
    this.#options.wake();
  }
}
