// Records the mails that a module under test sends.
import type { Mail, MailTransport } from "@muster/mail";
import { waitFor } from "../wait-for.ts";

export class SentMails implements MailTransport {
  readonly #all: Mail[] = [];
  readonly #taken = new Set<Mail>();

  /** In the order of sending. */
  get all(): readonly Mail[] {
    return this.#all;
  }

  async send(mail: Mail): Promise<void> {
    this.#all.push(mail);
  }

  async close(): Promise<void> {}

  /** Waits for the oldest mail to the address that no call has returned yet. */
  async next(to: string): Promise<Mail> {
    const mail = await waitFor(() => this.#all.find((one) => one.to === to && !this.#taken.has(one)), {
      what: `a mail to ${to}`,
    });
    this.#taken.add(mail);
    return mail;
  }

  /** Waits for a mail as {@link next} does, and returns the token of its link. */
  async nextToken(to: string): Promise<string> {
    const { subject, text } = await this.next(to);
    const token = /#token=(\S+)/.exec(text)?.[1];
    if (token === undefined) throw new Error(`the mail "${subject}" has no link`);
    return decodeURIComponent(token);
  }
}
