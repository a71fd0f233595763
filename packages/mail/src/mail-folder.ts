// Stores mails as .eml files in a folder, for an installation without a mail server, and reads them back.
import { chmod, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import PostalMime from "postal-mime";
import { composed, type Sender, senderOf } from "./compose.ts";
import type { Mail, MailTransport, StoredMail, StoredMailSummary, StoredMails } from "./mail.ts";
import { MailFailure } from "./mail-failure.ts";

const FILES_MAX = 200;
/** The time of the mail, which orders the files, and the id of the mail. */
const NAME = /^(\d{13})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.eml$/;
const TIME_DIGITS = 13;

export class MailFolder implements MailTransport, StoredMails {
  readonly #path: string;
  readonly #from: Sender;
  readonly #filesMax: number;
  readonly #composer = createTransport({ streamTransport: true, buffer: true, newline: "windows" });

  constructor(options: { readonly path: string; readonly from: string; readonly filesMax?: number }) {
    this.#path = options.path;
    this.#from = senderOf(options.from);
    this.#filesMax = options.filesMax ?? FILES_MAX;
  }

  /** A mail that is sent again replaces its file. */
  async send(mail: Mail): Promise<void> {
    try {
      const { message } = await this.#composer.sendMail(composed(mail, this.#from));
      await mkdir(this.#path, { recursive: true, mode: 0o700 });
      const time = String(mail.createTimeMs).padStart(TIME_DIGITS, "0");
      await this.#write(`${time}-${mail.id}.eml`, message as Buffer);
      await this.#removeOldest();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new MailFailure(code === "EENVELOPE" ? "refused" : "outage", String(code ?? "unknown"), {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    this.#composer.close();
  }

  async list(): Promise<readonly StoredMailSummary[]> {
    const names = (await this.#names()).reverse();
    const mails = await Promise.all(names.map((name) => this.#read(name)));
    return mails.filter((mail) => mail !== undefined);
  }

  async read(id: string): Promise<StoredMail | undefined> {
    const name = (await this.#names()).find((one) => NAME.exec(one)?.[2] === id);
    return name === undefined ? undefined : this.#read(name);
  }

  /** Readable by its owner only. Readers find the whole mail or no file. */
  async #write(name: string, content: Uint8Array): Promise<void> {
    const path = join(this.#path, name);
    const draft = `${path}.new`;
    const handle = await open(draft, "w", 0o600);
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    await chmod(draft, 0o600);
    await rename(draft, path);
  }

  /** Names of the mails, oldest first. */
  async #names(): Promise<string[]> {
    const names = await readdir(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    return names.filter((name) => NAME.test(name)).sort();
  }

  async #removeOldest(): Promise<void> {
    const names = await this.#names();
    const surplus = names.slice(0, Math.max(0, names.length - this.#filesMax));
    await Promise.all(surplus.map((name) => rm(join(this.#path, name), { force: true })));
  }

  /** Undefined for a file that was removed meanwhile. */
  async #read(name: string): Promise<StoredMail | undefined> {
    const [, time = "0", id = ""] = NAME.exec(name) ?? [];
    const content = await readFile(join(this.#path, name)).catch(() => undefined);
    if (content === undefined) return undefined;
    const { to, subject = "", text = "", html = "" } = await PostalMime.parse(content);
    return { id, createTimeMs: Number(time), to: to?.[0]?.address ?? "", subject, text, html };
  }
}
