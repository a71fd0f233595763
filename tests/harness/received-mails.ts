// Reads the mails that an embedded installation has written to its data folder.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "@muster/testkit";
import { simpleParser } from "mailparser";

export interface ReceivedMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export class ReceivedMails {
  readonly #folder: string;
  readonly #taken = new Set<string>();

  /** `folder` is that of the installation. */
  constructor({ folder }: { readonly folder: string }) {
    this.#folder = join(folder, "data", "mail");
  }

  /** Waits for the oldest mail to the address that no call has returned yet. */
  next(to: string): Promise<ReceivedMail> {
    return waitFor(() => this.#take(to), { what: `a mail to ${to}`, timeoutMs: 20_000 });
  }

  /** Waits for a mail as {@link next} does, and returns the token of its link. */
  async nextToken(to: string): Promise<string> {
    const { subject, text } = await this.next(to);
    const token = /#token=(\S+)/.exec(text)?.[1];
    if (token === undefined) throw new Error(`the mail "${subject}" has no link`);
    return decodeURIComponent(token);
  }

  async #take(to: string): Promise<ReceivedMail | undefined> {
    // The first mail creates the folder.
    const names = existsSync(this.#folder) ? await readdir(this.#folder) : [];
    for (const name of names.sort()) {
      if (!name.endsWith(".eml") || this.#taken.has(name)) continue;
      const parsed = await simpleParser(await readFile(join(this.#folder, name)));
      const addressees = [parsed.to ?? []].flat().flatMap(({ value }) => value.map(({ address }) => address));
      if (!addressees.includes(to)) continue;
      this.#taken.add(name);
      return { to, subject: parsed.subject ?? "", text: parsed.text ?? "" };
    }
    return undefined;
  }
}
