// Sends mails to an SMTP server.
import { type Clock, systemClock } from "@muster/core";
import { createTransport } from "nodemailer";
import { composed, type Sender, senderOf } from "./compose.ts";
import type { Mail, MailTransport } from "./mail.ts";
import { MailFailure, mailFailureOf } from "./mail-failure.ts";

const PORT_TLS = 465;
const PORT_SUBMISSION = 587;
const CONNECTIONS_MAX = 2;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
/** A constant reason saves a DOMException. */
const DONE = "done";

export interface SmtpOptions {
  /** smtp:// (STARTTLS where the server offers it) or smtps:// (TLS from the start), with user and password. */
  readonly url: string;
  /** A name and an address, or an address. */
  readonly from: string;
  readonly clock?: Clock;
  readonly timeouts?: Partial<SmtpTimeouts>;
}

export interface SmtpTimeouts {
  /** Time for name resolution, connection and greeting, each. */
  readonly connectMs: number;
  /** Longest silence of the server. */
  readonly idleMs: number;
  /** Longest time of sending a mail, whatever the server does. */
  readonly sendMs: number;
}

/** Invariant: `sendMs` is shorter than the lease of a mail job. */
const defaultTimeouts: SmtpTimeouts = { connectMs: 10_000, idleMs: 30_000, sendMs: 60_000 };

export class SmtpTransport implements MailTransport {
  readonly #from: Sender;
  readonly #clock: Clock;
  readonly #timeouts: SmtpTimeouts;
  readonly #transport: ReturnType<typeof openTransport>;

  constructor(options: SmtpOptions) {
    this.#from = senderOf(options.from);
    this.#clock = options.clock ?? systemClock;
    this.#timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.#transport = openTransport(options.url, this.#timeouts);
  }

  async send(mail: Mail): Promise<void> {
    const sent = new AbortController();
    const late = new AbortController();
    void this.#clock.sleep(this.#timeouts.sendMs, sent.signal).then(() => {
      if (!sent.signal.aborted) late.abort(new MailFailure("outage", "ETIMEDOUT"));
    });
    try {
      await this.#transport.sendMail({ ...composed(mail, this.#from), signal: late.signal });
    } catch (error) {
      throw mailFailureOf(late.signal.aborted ? late.signal.reason : error);
    } finally {
      sent.abort(DONE);
    }
  }

  async close(): Promise<void> {
    this.#transport.close({ force: true });
  }
}

/** A password is never sent in clear text, except to this machine. */
function openTransport(url: string, { connectMs, idleMs }: SmtpTimeouts) {
  const { protocol, hostname, port, username, password } = new URL(url);
  const isTls = protocol === "smtps:";
  const hasLogin = username !== "";
  return createTransport({
    pool: true,
    maxConnections: CONNECTIONS_MAX,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (isTls ? PORT_TLS : PORT_SUBMISSION) : Number(port),
    secure: isTls,
    requireTLS: hasLogin && !isTls && !LOOPBACK.test(hostname),
    ...(hasLogin ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
    dnsTimeout: connectMs,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: idleMs,
  });
}
