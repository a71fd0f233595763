import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simpleParser } from "mailparser";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Mail } from "./mail.ts";
import { MailFolder } from "./mail-folder.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-mail-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function mailOf(number: number): Mail {
  return {
    id: `0190a5b4-0000-7000-8000-${String(number).padStart(12, "0")}`,
    createTimeMs: Date.UTC(2026, 10, 30) + number,
    to: "zoë@example.test",
    subject: `Mail ${number}`,
    text: `Hello Zoë\nhttps://app.test/m/verify-email#token=${"t".repeat(120)}\n`,
    html: "<p>Hello Zoë</p>",
  };
}

function folder(filesMax = 3): MailFolder {
  return new MailFolder({ path: join(root, "mail"), from: "Muster <no-reply@muster.test>", filesMax });
}

test("a mail becomes an .eml file that only its owner reads, and reads back as it was", async () => {
  const mails = folder();
  expect(await mails.list()).toEqual([]);
  const mail = mailOf(1);
  await mails.send(mail);
  const [name = ""] = await readdir(join(root, "mail"));
  expect((await stat(join(root, "mail", name))).mode & 0o777).toBe(0o600);
  expect((await stat(join(root, "mail"))).mode & 0o777).toBe(0o700);
  const parsed = await simpleParser(await readFile(join(root, "mail", name)));
  expect(parsed).toMatchObject({ subject: "Mail 1", text: mail.text, messageId: `<${mail.id}@muster.test>` });
  const stored = await mails.read(mail.id);
  expect(stored).toMatchObject({ id: mail.id, createTimeMs: mail.createTimeMs, to: mail.to });
  expect(stored?.text.trim()).toBe(mail.text.trim());
});

test("the newest mails stay, newest first; a mail sent twice is one file", async () => {
  const mails = folder(3);
  for (const number of [1, 2, 3, 4, 5, 5]) await mails.send(mailOf(number));
  expect((await mails.list()).map(({ subject }) => subject)).toEqual(["Mail 5", "Mail 4", "Mail 3"]);
  expect(await mails.read(mailOf(1).id)).toBeUndefined();
});

test("an id is no path", async () => {
  const mails = folder();
  await mails.send(mailOf(1));
  for (const id of ["", "..", "../secret", "%2e%2e"]) expect(await mails.read(id)).toBeUndefined();
});

test("a folder that cannot be written is an outage", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  const blocked = new MailFolder({ path: join(file, "mail"), from: "a@b.test" });
  await expect(blocked.send(mailOf(1))).rejects.toMatchObject({ kind: "outage", code: "ENOTDIR" });
});
