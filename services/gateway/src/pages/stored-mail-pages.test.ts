// Tests that stored mails are shown to this machine, and to nobody else.
import type { StoredMail } from "@muster/mail";
import { afterEach, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "../test-gateway.ts";

const ID = "0190a5b4-0000-7000-8000-000000000001";
const MAIL: StoredMail = {
  id: ID,
  createTimeMs: Date.UTC(2026, 10, 30, 16, 5, 9),
  to: "ada<x>@example.test",
  subject: "Confirm <b>it</b>",
  text: "Hello <Ada>,\nhttps://muster.test/m/verify-email#token=a%2Bb\n",
  html: "<script>alert(1)</script>",
};
const storedMails = {
  list: async () => [MAIL],
  read: async (id: string) => (id === ID ? MAIL : undefined),
};

let muster: TestGateway;
afterEach(() => muster.gateway.stop(500));

test("list and mail are shown to this machine, escaped and with the link", async () => {
  muster = await startTestGateway({ storedMails });
  const headers = { host: `localhost:${muster.port}` };
  const list = await send(muster.port, "/dev/mail", { headers });
  expect(list.status).toBe(200);
  expect(list.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  expect(list.text).toContain(`<a href="/dev/mail/${ID}">Confirm &lt;b&gt;it&lt;/b&gt;</a>`);
  expect(list.text).toContain("2026-11-30 16:05:09");
  expect(list.text).toContain("ada&lt;x&gt;@example.test");
  const mail = await send(muster.port, `/dev/mail/${ID}`, { headers });
  expect(mail.text).toContain('<a href="https://muster.test/m/verify-email#token=a%2Bb">');
  expect(mail.text).toContain("Hello &lt;Ada&gt;,");
  expect(mail.text).not.toContain("<script>");
  expect((await send(muster.port, "/dev/mail/unknown", { headers })).status).toBe(404);
  expect((await send(muster.port, "/dev/mail", { headers, method: "POST" })).status).toBe(405);
  expect(muster.logged().map(({ route }) => route)).not.toContain(`/dev/mail/${ID}`);
});

test("other hosts, proxies and pages of other sites find nothing", async () => {
  muster = await startTestGateway({ storedMails });
  const host = `127.0.0.1:${muster.port}`;
  for (const headers of [
    { host: "rebound.evil.test" },
    { host, "x-forwarded-for": "203.0.113.9" },
    { host, origin: "https://evil.test" },
    { host, "sec-fetch-site": "cross-site" },
  ] as Record<string, string>[]) {
    for (const path of ["/dev/mail", `/dev/mail/${ID}`]) {
      expect((await send(muster.port, path, { headers })).status, JSON.stringify(headers)).toBe(404);
    }
  }
  expect((await send(muster.port, "/dev/mail", { headers: { host } })).status).toBe(200);
});

test("with a mail server, as in production, there is no such page", async () => {
  muster = await startTestGateway();
  for (const path of ["/dev/mail", `/dev/mail/${ID}`]) {
    expect((await send(muster.port, path, { headers: { host: "localhost" } })).status).toBe(404);
  }
});
