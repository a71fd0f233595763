// Registers people in both modes and follows their mails: by files and a browser, and by a mail server.
import { readdir, readFile, stat } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { waitFor } from "@muster/testkit";
import { startBrowser } from "@muster/testkit/browser";
import { MailServer } from "@muster/testkit/mail-server";
import { simpleParser } from "mailparser";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";

const ADA = "Ada.Lovelace@example.test";
const GRACE = "grace@example.test";
const PASSWORD = "correct horse battery staple";
const LINK = /^https?:\/\/\S+\/m\/verify-email#token=(\S+)$/m;
const SETTINGS = { timeout: 240_000 };

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(...options: Parameters<typeof startInstallation>): Promise<Installation> {
  const muster = await startInstallation(...options);
  closers.push(() => muster.stop());
  return muster;
}

async function startMailServer(options?: Parameters<typeof MailServer.start>[0]): Promise<MailServer> {
  const server = await MailServer.start(options);
  closers.push(() => server.stop());
  return server;
}

/** Posts JSON, with a Host header of the attacker's choice. Resolves to the status. */
function post(muster: Installation, path: string, body: object, host = "evil.test"): Promise<number> {
  const headers = { "content-type": "application/json", host };
  return new Promise((resolve, reject) => {
    const request = httpRequest(muster.url + path, { method: "POST", headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end(JSON.stringify(body));
  });
}

function register(muster: Installation, email: string): Promise<number> {
  return post(muster, "/v1/register", { email, password: PASSWORD, name: "Ada Lovelace" });
}

function logIn(muster: Installation, email: string, password = PASSWORD): Promise<number> {
  return post(muster, "/v1/login", { email, password });
}

/** The stored mails of an installation. */
class MailFiles {
  readonly #folder: string;
  readonly #taken = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Waits for the next mail to the address with a link to the page, and returns the link. */
  nextLink(to: string, page: string): Promise<string> {
    const find = async (): Promise<string | undefined> => {
      const names = await readdir(this.#folder).catch((): string[] => []);
      for (const name of names.filter((one) => one.endsWith(".eml") && !this.#taken.has(one)).sort()) {
        const mail = await simpleParser(await readFile(join(this.#folder, name)));
        const recipient = Array.isArray(mail.to) ? undefined : mail.to?.value[0]?.address;
        const link = new RegExp(`^http\\S+/m/${page}#token=\\S+$`, "m").exec(mail.text ?? "")?.[0];
        if (recipient !== to || link === undefined) continue;
        this.#taken.add(name);
        return link;
      }
      return undefined;
    };
    return waitFor(find, { timeoutMs: 30_000, what: `a mail to ${to} with a link to ${page}` });
  }
}

describe("embedded", () => {
  let muster: Installation;
  beforeAll(async () => {
    muster = await startInstallation("embedded");
  }, SETTINGS.timeout);
  afterAll(() => muster?.stop());

  test("the mail is a file that /dev/mail shows, and its link opens the page", SETTINGS, async () => {
    expect(await register(muster, ADA)).toBe(202);
    const folder = join(muster.variables.MUSTER_DATA_DIR ?? "", "mail");
    const [name = ""] = await waitFor(async () => {
      const names = await readdir(folder).catch(() => []);
      return names.some((one) => one.endsWith(".eml")) ? names : undefined;
    });
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    const { text = "", to } = await simpleParser(await readFile(join(folder, name)));
    expect(to).toMatchObject({ value: [{ address: ADA }] });
    expect(LINK.exec(text)?.[0]).toMatch(new RegExp(`^${muster.url}/m/`));
    expect(await logIn(muster, ADA)).toBe(403);

    const browser = await startBrowser();
    closers.push(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`${muster.url}/dev/mail`);
    await page.getByRole("link", { name: "Confirm your email address" }).click();
    await page.getByRole("link", { name: "/m/verify-email" }).click();
    await page.getByRole("button").click();
    await page.getByRole("status").waitFor();
    expect(await logIn(muster, ADA)).toBe(200);
    expect(
      (await fetch(`${muster.url}/dev/mail`, { headers: { "x-forwarded-for": "203.0.113.9" } })).status,
    ).toBe(404);
  });

  test("the form of each page does what its mail promises", SETTINGS, async () => {
    const mails = new MailFiles(join(muster.variables.MUSTER_DATA_DIR ?? "", "mail"));
    const submit = async (name: string, link: string, more: Record<string, string> = {}): Promise<string> => {
      const body = new URLSearchParams({ token: link, ...more });
      const response = await fetch(`${muster.url}/m/${name}`, { method: "POST", body });
      const text = await response.text();
      expect([response.status, text.includes('role="status"')], text).toEqual([200, true]);
      return text;
    };
    await register(muster, GRACE);
    await submit("verify-email", await mails.nextLink(GRACE, "verify-email"));

    expect(await post(muster, "/v1/password:forgot", { email: GRACE })).toBe(202);
    const password = "another horse battery staple";
    await submit("reset-password", await mails.nextLink(GRACE, "reset-password"), { password });
    expect(await logIn(muster, GRACE)).toBe(401);
    expect(await logIn(muster, GRACE, password)).toBe(200);

    expect(await post(muster, "/v1/magic-link", { email: GRACE })).toBe(202);
    const shown = await submit("magic-link", await mails.nextLink(GRACE, "magic-link"));
    expect(shown).toMatch(/readonly>[\w-]+\.[\w-]+\.[\w-]+</);

    const moved = "ada@other.test";
    const headers = { "content-type": "application/json" };
    const signedIn = await fetch(`${muster.url}/v1/login`, {
      method: "POST",
      headers,
      body: JSON.stringify({ email: GRACE, password }),
    });
    const { access_token } = (await signedIn.json()) as { readonly access_token: string };
    const change = await fetch(`${muster.url}/v1/me/email`, {
      method: "POST",
      headers: { ...headers, authorization: `Bearer ${access_token}` },
      body: JSON.stringify({ email: moved }),
    });
    expect(change.status).toBe(202);
    await submit("confirm-email", await mails.nextLink(moved, "confirm-email"));
    expect(await logIn(muster, moved, password)).toBe(200);
    await submit("undo-email", await mails.nextLink(GRACE, "undo-email"));
    expect(await logIn(muster, moved, password)).toBe(401);

    for (let attempt = 0; attempt < 6; attempt += 1) await logIn(muster, GRACE, "a wrong password");
    expect(await logIn(muster, GRACE, password)).toBe(429);
    await submit("unlock", await mails.nextLink(GRACE, "unlock"));
    // The undone change demands a new password.
    expect(await logIn(muster, GRACE, password)).toBe(403);
  });
});

test(
  "production: mails go to the server, with links of the public address, also after an outage",
  SETTINGS,
  async () => {
    const first = await startMailServer();
    const publicUrl = "https://people.example/muster";
    const muster = await start("production", { MUSTER_SMTP_URL: first.url, MUSTER_PUBLIC_URL: publicUrl });
    expect(await register(muster, ADA)).toBe(202);
    const mail = await waitFor(() => first.received[0], { timeoutMs: 15_000, what: "the mail" });
    expect(mail.recipients).toEqual([ADA]);
    const [link = "", token = ""] = LINK.exec(mail.parsed.text ?? "") ?? [];
    expect(link).toMatch(new RegExp(`^${publicUrl}/m/verify-email#token=`));
    // Scanners open links, and browsers fetch them ahead.
    for (const method of ["GET", "HEAD"]) {
      const path = `/m/verify-email?token=${token}`;
      expect((await fetch(muster.url + path, { method })).status).toBe(200);
    }
    expect(await logIn(muster, ADA)).toBe(403);
    const form = new URLSearchParams({ token: link });
    const response = await fetch(`${muster.url}/m/verify-email`, { method: "POST", body: form });
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining("is confirmed")]);
    expect(await logIn(muster, ADA)).toBe(200);
    expect((await fetch(`${muster.url}/m/verify-email`, { method: "POST", body: form })).status).toBe(400);
    expect((await fetch(`${muster.url}/dev/mail`)).status).toBe(404);

    await first.stop();
    expect(await register(muster, "bob@example.test")).toBe(202);
    const second = await startMailServer({ port: first.port });
    const late = await waitFor(() => second.received[0], { timeoutMs: 60_000, what: "the late mail" });
    expect(late.recipients).toEqual(["bob@example.test"]);
  },
);
