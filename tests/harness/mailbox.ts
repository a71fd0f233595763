// Reads the mails of an installation: from a mail server in production mode, from the mail folder in embedded mode.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "@muster/testkit";
import { MailServer } from "@muster/testkit/mail-server";
import { type ParsedMail, simpleParser } from "mailparser";
import type { Installation, Mode } from "./installation.ts";

const WAIT_MS = 20_000;

export interface MailText {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export class Mailbox {
  readonly #server: MailServer | undefined;
  readonly #taken = new Set<string>();
  #folder = "";

  private constructor(server: MailServer | undefined) {
    this.#server = server;
  }

  /** Of an embedded installation. */
  static of(installation: Installation): Mailbox {
    const mailbox = new Mailbox(undefined);
    mailbox.attach(installation);
    return mailbox;
  }

  /** Before the installation starts. */
  static async open(mode: Mode): Promise<Mailbox> {
    return new Mailbox(mode === "production" ? await MailServer.start() : undefined);
  }

  /** Variables of the installation. */
  get variables(): Record<string, string> {
    return this.#server === undefined ? {} : { MUSTER_SMTP_URL: this.#server.url };
  }

  attach({ variables }: Installation): void {
    this.#folder = join(variables.MUSTER_DATA_DIR ?? "", "mail");
  }

  async close(): Promise<void> {
    await this.#server?.stop();
  }

  /** Waits for the oldest mail to the address that no call has returned yet. */
  async next(to: string): Promise<MailText> {
    const mail = await waitFor(
      async () => {
        const all = await this.#all();
        return all.find((one) => !this.#taken.has(one.messageId ?? "") && recipientOf(one) === to);
      },
      { what: `a mail to ${to}`, timeoutMs: WAIT_MS },
    );
    this.#taken.add(mail.messageId ?? "");
    const { subject = "", text = "", html } = mail;
    return { subject, text, html: html || "" };
  }

  /** Waits for a mail as {@link next} does, and returns the link of the text. */
  async nextLink(to: string): Promise<URL> {
    const { subject, text } = await this.next(to);
    const link = /https?:\/\/\S+/.exec(text)?.[0];
    if (link === undefined) throw new Error(`the mail "${subject}" has no link`);
    return new URL(link);
  }

  async nextToken(to: string): Promise<string> {
    return tokenOf(await this.nextLink(to));
  }

  async #all(): Promise<ParsedMail[]> {
    if (this.#server !== undefined) return this.#server.received.map(({ parsed }) => parsed);
    const names = await readdir(this.#folder).catch(() => []);
    const files = names.filter((name) => name.endsWith(".eml")).sort();
    return Promise.all(files.map(async (name) => simpleParser(await readFile(join(this.#folder, name)))));
  }
}

/** The token in the fragment of a mail's link. */
export function tokenOf(link: URL): string {
  const token = new URLSearchParams(link.hash.slice(1)).get("token");
  if (token === null) throw new Error("the link has no token");
  return token;
}

function recipientOf({ to }: ParsedMail): string | undefined {
  const [first] = Array.isArray(to) ? to : [to];
  return first?.value[0]?.address;
}
