// Receives mails over SMTP, with refusals that a test scripts, and optionally stores .eml files.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";

const MAIL_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 1000;

export interface MailServerOptions {
  /** A free port if absent. */
  readonly port?: number;
  /** Folder for the newest 1,000 mails. */
  readonly folder?: string;
  /** Login that clients must use. */
  readonly login?: { readonly user: string; readonly password: string };
  /** TLS from the start, with a certificate that no client trusts. */
  readonly isTls?: boolean;
}

export interface ReceivedMail {
  readonly recipients: readonly string[];
  readonly raw: Buffer;
  readonly parsed: ParsedMail;
}

export type Refusal = { readonly code: number; readonly text: string } | undefined;

export class MailServer {
  readonly received: ReceivedMail[] = [];
  /** Called for the sender, the recipient and the whole mail. A test replaces the functions to refuse mails. */
  onSender: (address: string) => Refusal = () => undefined;
  onRecipient: (address: string) => Refusal = () => undefined;
  onMail: (mail: ReceivedMail) => Refusal | Promise<Refusal> = () => undefined;
  readonly #server: SMTPServer;
  readonly #folder: string | undefined;
  #port: number;

  private constructor({ port = 0, folder, login, isTls = false }: MailServerOptions) {
    this.#port = port;
    this.#folder = folder;
    if (folder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#server = new SMTPServer({
      size: MAIL_BYTES_MAX,
      secure: isTls,
      authOptional: login === undefined,
      // Clients refuse the unsigned certificate of a test server.
      disabledCommands: login === undefined ? ["STARTTLS", "AUTH"] : ["STARTTLS"],
      disableReverseLookup: true,
      closeTimeout: 100,
      onAuth: ({ username, password }, _session, done) => {
        const isRight = username === login?.user && password === login?.password;
        done(isRight ? null : smtpError({ code: 535, text: "wrong login" }), { user: username });
      },
      onMailFrom: ({ address }, _session, done) => done(smtpError(this.onSender(address))),
      onRcptTo: ({ address }, _session, done) => done(smtpError(this.onRecipient(address))),
      onData: (stream, session, done) => {
        const recipients = session.envelope.rcptTo.map(({ address }) => address);
        buffer(stream)
          .then((raw) => this.#receive(raw, recipients))
          .then((refusal) => done(smtpError(refusal)), done);
      },
    });
    // A killed client resets the connection.
    this.#server.on("error", () => {});
  }

  static async start(options: MailServerOptions = {}): Promise<MailServer> {
    const server = new MailServer(options);
    await server.#listen();
    return server;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Ends the server and all connections. */
  stop(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (this.#server.server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  async #receive(raw: Buffer, recipients: readonly string[]): Promise<Refusal> {
    const mail = { recipients, raw, parsed: await simpleParser(raw) };
    const refusal = await this.onMail(mail);
    if (refusal !== undefined) return refusal;
    this.received.push(mail);
    if (this.#folder !== undefined) this.#store(this.#folder, mail);
    return undefined;
  }

  #store(folder: string, { raw, parsed }: ReceivedMail): void {
    this.received.length = 0;
    const name = (parsed.messageId ?? "").replace(/[^\w.@-]/g, "").slice(0, 200);
    const time = (parsed.date?.toISOString() ?? "").replace(/[^\d]/g, "");
    writeFileSync(join(folder, `${time}-${name}.eml`), raw, { mode: 0o600 });
    const names = readdirSync(folder).sort();
    for (const old of names.slice(0, Math.max(0, names.length - FILES_MAX))) rmSync(join(folder, old));
  }
}

function smtpError(refusal: Refusal): Error | null {
  return refusal === undefined
    ? null
    : Object.assign(new Error(refusal.text), { responseCode: refusal.code });
}
