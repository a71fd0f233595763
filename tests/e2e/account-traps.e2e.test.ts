// Attacks accounts over the wire: forged hosts, fetched links, floods, large bodies, hostile names, and
// registrations of foreign addresses.
import { randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { oathtoolCode } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { Mailbox, tokenOf } from "../harness/mailbox.ts";
import { grpcMount, type MountRefusal } from "../harness/mounts.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

const PASSWORD = "correct horse battery";
const START_MS = 180_000;
const PUBLIC_URL = "https://accounts.muster.test";

let mails: Mailbox;
let muster: Installation;
let rest: RestClient;

beforeAll(async () => {
  mails = await Mailbox.open("embedded");
  muster = await startInstallation("embedded", { ...mails.variables, MUSTER_PUBLIC_URL: PUBLIC_URL });
  mails.attach(muster);
  rest = new RestClient({ url: muster.url, apiKey: undefined });
}, START_MS);
afterAll(async () => {
  await muster?.stop();
  await mails?.close();
});

const newEmail = () => `${randomBytes(6).toString("hex")}@example.test`;

/** The status and the reason of a POST without credentials. */
async function post(path: string, body: object): Promise<[number, string | undefined]> {
  const response = await rest.post(path, body);
  return [response.status, response.body?.reason];
}

const register = (email: string, name = "Ada", password = PASSWORD) =>
  post("/v1/register", { email, password, name });
const verify = (token: string) => post("/v1/verify-email", { token });
const login = (email: string, password = PASSWORD) => post("/v1/login", { email, password });

const OK = [200, undefined];
const ACCEPTED = [202, undefined];
const TOKEN_INVALID = [400, "TOKEN_INVALID"];

async function signUp(email: string): Promise<void> {
  expect(await register(email)).toEqual(ACCEPTED);
  expect(await verify(await mails.nextToken(email))).toEqual(OK);
}

/** Sends the headers as they are; fetch replaces Host. */
function postWithHeaders(path: string, body: unknown, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      muster.url + path,
      { method: "POST", headers: { "content-type": "application/json", ...headers } },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      },
    );
    request.on("error", reject);
    request.end(JSON.stringify(body));
  });
}

describe("a forged Host", () => {
  const forged = {
    host: "evil.example",
    "x-forwarded-host": "evil.example",
    forwarded: "host=evil.example",
    origin: "https://evil.example",
    referer: "https://evil.example/",
  };

  test("is in no link of a mail", async () => {
    const email = newEmail();
    const registration = { email, password: PASSWORD, name: "Ada" };
    expect(await postWithHeaders("/v1/register", registration, forged)).toBe(202);
    const link = await mails.nextLink(email);
    expect(link.origin).toBe(PUBLIC_URL);
    expect(await verify(tokenOf(link))).toEqual(OK);
    for (const path of ["/v1/password:forgot", "/v1/magic-link"]) {
      expect(await postWithHeaders(path, { email }, forged)).toBe(202);
      const mail = await mails.next(email);
      expect(`${mail.text}${mail.html}`).not.toContain("evil.example");
      expect(mail.text).toContain(`${PUBLIC_URL}/m/`);
    }
  });
});

describe("a link that is fetched", () => {
  const fetches: readonly [string, RequestInit][] = [
    ["GET", { method: "GET" }],
    ["HEAD", { method: "HEAD" }],
    ["a prefetch", { method: "GET", headers: { "sec-purpose": "prefetch", purpose: "prefetch" } }],
    ["OPTIONS", { method: "OPTIONS" }],
  ];

  async function fetchLink(link: URL, api: string): Promise<void> {
    const query = new URLSearchParams({ token: tokenOf(link) });
    for (const [, init] of fetches) {
      const page = await fetch(`${muster.url}${link.pathname}?${query}`, init);
      await page.arrayBuffer();
      const call = await fetch(`${muster.url}${api}?${query}`, init);
      await call.arrayBuffer();
      if (init.method !== "OPTIONS") expect(call.status).toBe(405);
    }
  }

  test("still verifies an address", async () => {
    const email = newEmail();
    expect(await register(email)).toEqual(ACCEPTED);
    const link = await mails.nextLink(email);
    // The fragment is never sent to a server.
    expect(link.search).toBe("");
    await fetchLink(link, "/v1/verify-email");
    expect(await verify(tokenOf(link))).toEqual(OK);
    expect(await verify(tokenOf(link))).toEqual(TOKEN_INVALID);
  });

  test("still resets a password", async () => {
    const email = newEmail();
    await signUp(email);
    expect(await post("/v1/password:forgot", { email })).toEqual(ACCEPTED);
    const link = await mails.nextLink(email);
    await fetchLink(link, "/v1/password:reset");
    const body = { token: tokenOf(link), password: "a new password of mine" };
    expect(await post("/v1/password:reset", body)).toEqual(OK);
    expect(await post("/v1/password:reset", body)).toEqual(TOKEN_INVALID);
    expect(await login(email, body.password)).toEqual(OK);
    expect(await login(email)).toEqual([401, "LOGIN_FAILED"]);
  });

  test("still signs in", async () => {
    const email = newEmail();
    await signUp(email);
    expect(await post("/v1/magic-link", { email })).toEqual(ACCEPTED);
    const link = await mails.nextLink(email);
    await fetchLink(link, "/v1/magic-link:redeem");
    expect(await post("/v1/magic-link:redeem", { token: tokenOf(link) })).toEqual(OK);
    expect(await post("/v1/magic-link:redeem", { token: tokenOf(link) })).toEqual([401, "CODE_INVALID"]);
  });
});

describe("a lost password", () => {
  test("leads to the second factor after a reset and a magic link", async () => {
    const email = newEmail();
    await signUp(email);
    const { body } = await rest.post("/v1/login", { email, password: PASSWORD });
    const headers = { authorization: `Bearer ${body.access_token}` };
    const enrolled = await rest.post("/v1/two-factor:enroll", {}, headers);
    const code = await oathtoolCode(enrolled.body.secret, Date.now());
    expect((await rest.post("/v1/two-factor:confirm", { code }, headers)).status).toBe(200);
    expect((await mails.next(email)).subject).toBe("Two-factor authentication is on");
    expect(await post("/v1/password:forgot", { email })).toEqual(ACCEPTED);
    const password = "a new password of mine";
    const reset = await rest.post("/v1/password:reset", { token: await mails.nextToken(email), password });
    expect([reset.status, reset.body]).toEqual([200, {}]);
    expect(await login(email, password)).toEqual([401, "TWO_FACTOR_REQUIRED"]);
    expect((await rest.request("GET", "/v1/me", undefined, headers)).body.reason).toBe("SESSION_ENDED");
    await mails.next(email);
    expect(await post("/v1/magic-link", { email })).toEqual(ACCEPTED);
    const redeemed = post("/v1/magic-link:redeem", { token: await mails.nextToken(email) });
    expect(await redeemed).toEqual([401, "TWO_FACTOR_REQUIRED"]);
  });

  test("hides the password and leaves room for password managers", async () => {
    const page = await (await fetch(`${muster.url}/m/reset-password`)).text();
    const fields = page.match(/<input[^>]*name="password"[^>]*>/g) ?? [];
    expect(fields).toHaveLength(1);
    expect(fields[0]).toContain('type="password"');
    expect(fields[0]).toContain('autocomplete="new-password"');
    expect(page).not.toMatch(/onpaste|oncopy/i);
  });
});

describe("an attacker who registers the address of a victim", () => {
  test("has a password that dies when the victim verifies", async () => {
    const email = newEmail();
    const spelling = email.replace(/^[^@]+/, (local) => local.toUpperCase());
    expect(await register(email, "Mallory", "password of attacker")).toEqual(ACCEPTED);
    const tokenOfAttacker = await mails.nextToken(email);
    expect(await register(spelling, "Victim")).toEqual(ACCEPTED);
    const tokenOfVictim = await mails.nextToken(spelling);
    expect(await verify(tokenOfVictim)).toEqual(OK);
    expect(await login(email)).toEqual(OK);
    expect(await login(email, "password of attacker")).toEqual([401, "LOGIN_FAILED"]);
    expect(await verify(tokenOfAttacker)).toEqual(TOKEN_INVALID);
  });

  test("learns nothing from the response", async () => {
    const [known, unknown] = [newEmail(), newEmail()];
    await signUp(known);
    const shown = ({ status, body }: RestResponse) => [status, { ...body, request_id: "" }];
    const calls = (email: string) => [
      rest.post("/v1/register", { email, password: PASSWORD, name: "Ada" }),
      rest.post("/v1/verify-email:resend", { email }),
      rest.post("/v1/password:forgot", { email }),
      rest.post("/v1/magic-link", { email }),
      rest.post("/v1/login", { email, password: "wrong password" }),
    ];
    const [ofKnown, ofUnknown] = await Promise.all([Promise.all(calls(known)), Promise.all(calls(unknown))]);
    expect(ofKnown.map(shown)).toEqual(ofUnknown.map(shown));
    expect(ofKnown.map(({ status }) => status)).toEqual([202, 202, 202, 202, 401]);
  });
});

describe("hostile input", () => {
  test("a body above 16 KiB is refused, whatever it holds", async () => {
    for (const bytes of [17 * 1024, 1024 * 1024]) {
      const body = { email: newEmail(), password: "x".repeat(bytes), name: "Ada" };
      expect((await rest.post("/v1/register", body)).status).toBe(413);
      expect((await rest.post("/v1/login", body)).status).toBe(413);
    }
  });

  test("a name with a line break is refused, and markup in a name stays text in the mail", async () => {
    const email = newEmail();
    for (const name of [
      "Ada\r\nBcc: all@example.test",
      "Ada\nLovelace",
      "Ada\u2028Lovelace",
      "a".repeat(101),
    ]) {
      const response = await rest.post("/v1/register", { email, password: PASSWORD, name });
      expect([response.status, response.body.fields?.[0]?.field], JSON.stringify(name)).toEqual([
        400,
        "name",
      ]);
    }
    const name = '<img src=x onerror=alert(1)> "Ada"';
    expect(await register(email, name)).toEqual(ACCEPTED);
    const { html, text } = await mails.next(email);
    expect(html).not.toContain("<img src=x");
    expect(text).not.toMatch(/^bcc:/im);
  });
});

describe("a flood from one client", () => {
  let limited: Installation;

  beforeAll(async () => {
    limited = await startInstallation("embedded", {
      MUSTER_PUBLIC_REQUESTS_PER_MINUTE: "12",
      MUSTER_CREDENTIAL_REQUESTS_PER_MINUTE: "6",
      MUSTER_TRUSTED_PROXIES: "127.0.0.1,::1",
    });
  }, START_MS);
  afterAll(() => limited?.stop());

  async function reasons(
    client: string,
    count: number,
    path: string,
    body: () => object,
  ): Promise<RestResponse[]> {
    const responses: RestResponse[] = [];
    const caller = new RestClient({ url: limited.url, apiKey: undefined });
    for (let index = 0; index < count; index += 1) {
      responses.push(await caller.post(path, body(), { "x-forwarded-for": client }));
    }
    return responses;
  }

  const wrongLogin = () => ({ email: newEmail(), password: "wrong password" });
  const statuses = (responses: readonly RestResponse[]) => responses.map(({ status }) => status);

  test("is refused above the limit, while other clients are served", async () => {
    const flood = await reasons("203.0.113.1", 8, "/v1/login", wrongLogin);
    expect(statuses(flood)).toEqual([401, 401, 401, 401, 401, 401, 429, 429]);
    expect(flood[7]?.body.reason).toBe("RATE_LIMITED");
    expect(Number(flood[7]?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Number(flood[7]?.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    expect(statuses(await reasons("203.0.113.2", 1, "/v1/login", wrongLogin))).toEqual([401]);
    expect(statuses(await reasons("1.1.1.1, 203.0.113.1", 1, "/v1/login", wrongLogin))).toEqual([429]);
  });

  test("has the higher limit where no secret is taken", async () => {
    const flood = await reasons("203.0.113.3", 14, "/v1/password:forgot", () => ({ email: newEmail() }));
    expect(statuses(flood)).toEqual([...Array.from({ length: 12 }, () => 202), 429, 429]);
  });

  test("has one limit over all addresses of its IPv6 network", async () => {
    for (let host = 1; host <= 6; host += 1) {
      expect(statuses(await reasons(`2001:db8::${host}`, 1, "/v1/login", wrongLogin))).toEqual([401]);
    }
    expect(statuses(await reasons("2001:db8::ffff:1", 1, "/v1/login", wrongLogin))).toEqual([429]);
  });

  test("is refused over gRPC too", async () => {
    const mount = grpcMount(limited);
    const found: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      await mount.call(SessionService.method.login, wrongLogin()).catch(({ reason }: MountRefusal) => {
        found.push(reason);
      });
    }
    expect(found).toEqual([...Array.from({ length: 6 }, () => "LOGIN_FAILED"), "RATE_LIMITED"]);
  });
});
