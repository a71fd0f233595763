// Tests the pages behind mail links over HTTP: GET changes nothing, and a form calls its route.
import { create } from "@bufbuild/protobuf";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  send,
  startTestGateway,
  type TestGateway,
  type TestRequest,
  type TestResponse,
} from "../test-gateway.ts";
import { pages } from "./page.ts";

const SERVICES = [AccountService, MagicLinkService, PrivacyService, SessionService, TwoFactorService];
const LINKED = [...pages].filter(([, page]) => page.isFollowUp !== true).map(([name]) => name);
const TOKENS = { accessToken: "the-access-token", refreshToken: "the<refresh>token", tokenType: "Bearer" };
const FORM = { "content-type": "application/x-www-form-urlencoded" };

let muster: TestGateway;
beforeEach(async () => {
  muster = await startTestGateway({ services: SERVICES, publicUrl: "https://muster.test/" });
  muster.caller.response = async (method) => {
    const content = method.name === "RedeemMagicLink" ? { tokens: TOKENS } : {};
    return { message: create(method.output, content as never), headers: new Map() };
  };
});
afterEach(() => muster.gateway.stop(500));

function post(name: string, form: Record<string, string>, options: TestRequest = {}): Promise<TestResponse> {
  const body = new URLSearchParams(form).toString();
  return send(muster.port, `/m/${name}`, { method: "POST", headers: FORM, body, ...options });
}

/** The fields of the last call's message. */
function lastRequest(): Record<string, unknown> {
  const { $typeName, ...fields } = muster.caller.last.request as unknown as Record<string, unknown>;
  return fields;
}

function lastToken(): unknown {
  const { token, invitationToken } = lastRequest();
  return token ?? invitationToken;
}

describe.each(LINKED)("/m/%s", (name) => {
  test("GET and HEAD show a form and call nothing, whatever the query", async () => {
    for (const method of ["GET", "HEAD"]) {
      const response = await send(muster.port, `/m/${name}?token=stolen`, { method });
      expect(response.status).toBe(200);
      expect(response.headers).toMatchObject({
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
      });
      const policy = response.headers["content-security-policy"] ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(response.headers["set-cookie"]).toBeUndefined();
      expect(response.text.includes(`<form method="post" action="${name}"`)).toBe(method === "GET");
      // No address of another origin, no inline script or style.
      expect(response.text).not.toMatch(/https?:|\/\/|<script>|style=|\son\w+=/);
      expect(response.text).not.toContain("stolen");
    }
    expect(muster.caller.calls).toEqual([]);
  });

  test("the form calls its route with the token, and the page says that it is done", async () => {
    const form = { token: " the.token-1 ", password: "a long password" };
    const response = await post(name, form);
    expect(response.status).toBe(200);
    expect(response.text).toContain('role="status"');
    expect(response.text).not.toContain("<form");
    expect(lastToken()).toBe("the.token-1");
    expect(muster.caller.calls.length).toBe(1);
    expect(lastRequest().password).toBe(pages.get(name)?.hasPassword === true ? form.password : undefined);
  });

  test("a whole link in the field works as its token", async () => {
    await post(name, { token: `https://muster.test/m/${name}#token=a%2Bb`, password: "a long password" });
    expect(lastToken()).toBe("a+b");
  });

  test("other verbs are refused with Allow", async () => {
    const response = await send(muster.port, `/m/${name}`, { method: "DELETE" });
    expect([response.status, response.headers.allow]).toEqual([405, "GET, HEAD, OPTIONS, POST"]);
    expect((await send(muster.port, `/m/${name}`, { method: "OPTIONS" })).status).toBe(204);
    expect(muster.caller.calls).toEqual([]);
  });
});

test("forms of other sites are refused before the body is read, those of the page are not", async () => {
  const host = `127.0.0.1:${muster.port}`;
  const attempt = async (headers: Record<string, string>): Promise<number> =>
    (await post("unlock", { token: "t" }, { headers: { ...FORM, host, ...headers } })).status;
  for (const headers of [
    { origin: "https://evil.test" },
    { origin: "http://evil.test.127.0.0.1" },
    { origin: "garbage" },
    { origin: "null", "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: `http://${host}`, "sec-fetch-site": "cross-site" },
  ]) {
    expect(await attempt(headers), JSON.stringify(headers)).toBe(403);
  }
  expect(muster.caller.calls).toEqual([]);
  for (const headers of [
    {},
    { origin: `http://${host}` },
    { origin: `https://${host}` },
    { origin: "https://muster.test" },
    { origin: "null", "sec-fetch-site": "same-origin" },
    { origin: "null" },
  ]) {
    expect(await attempt(headers), JSON.stringify(headers)).toBe(200);
  }
});

test("a dead link says so; any other failure shows the form again with what was entered", async () => {
  muster.caller.response = async () => {
    throw new AppError("TOKEN_INVALID");
  };
  const dead = await post("verify-email", { token: 'dead"><script>' });
  expect(dead.status).toBe(400);
  expect(dead.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(dead.text).toContain("This link is no longer valid");
  expect(dead.text).toContain('value="dead&quot;&gt;&lt;script&gt;"');
  expect(dead.text).not.toContain("<script>");

  muster.caller.response = async () => {
    throw new AppError("RATE_LIMITED", { retryAfterMs: 7_000, message: "<b>Too many</b>" });
  };
  const limited = await post("reset-password", { token: "kept-token", password: "never shown again" });
  expect([limited.status, limited.headers["retry-after"]]).toEqual([429, "7"]);
  expect(limited.text).toContain("&lt;b&gt;Too many&lt;/b&gt;");
  expect(limited.text).toContain('value="kept-token"');
  expect(limited.text).not.toContain("never shown again");
});

test("the page of an invitation registers, and after a refusal keeps what was typed but the password", async () => {
  const form = { token: "t", email: "ada@example.com", name: 'Ada "A"', password: "a long password" };
  const done = await post("invitation", form);
  expect(done.text).toContain("A mail with a link was sent");
  expect(muster.caller.last.method.name).toBe("Register");
  expect(lastRequest()).toEqual({
    email: form.email,
    name: form.name,
    password: form.password,
    invitationToken: "t",
  });
  muster.caller.response = async () => {
    throw new AppError("FIELD_INVALID", { message: "password: is too common" });
  };
  const refused = await post("invitation", form);
  expect(refused.status).toBe(400);
  for (const kept of ['value="t"', 'value="ada@example.com"', 'value="Ada &quot;A&quot;"', "is too common"])
    expect(refused.text).toContain(kept);
  expect(refused.text).not.toContain(form.password);
});

test("a magic link shows the tokens of the session, or asks for the second factor", async () => {
  muster.caller.response = async () => {
    throw new AppError("TWO_FACTOR_REQUIRED", { details: { challenge: "the-challenge" } });
  };
  const asked = await post("magic-link", { token: "t" });
  expect(asked.status).toBe(401);
  expect(asked.text).toContain('action="two-factor"');
  expect(asked.text).toContain('name="challenge" value="the-challenge"');

  muster.caller.response = async (method) => ({
    message: create(method.output, { tokens: TOKENS } as never),
    headers: new Map(),
  });
  const signedIn = await post("two-factor", { challenge: "the-challenge", code: "123456" });
  expect(muster.caller.last.method.name).toBe("LoginWithTwoFactor");
  expect(lastRequest()).toMatchObject({ challenge: "the-challenge", code: "123456" });
  expect(signedIn.text).toContain("the-access-token");
  expect(signedIn.text).toContain("the&lt;refresh&gt;token");
  expect(signedIn.headers["cache-control"]).toBe("no-store");
  expect((await send(muster.port, "/m/two-factor")).status).toBe(405);
});

test("bodies: only forms, each field once, UTF-8, at most 16 KiB", async () => {
  const bodyOf = (body: string | Uint8Array, headers: Record<string, string> = FORM) =>
    send(muster.port, "/m/unlock", { method: "POST", headers, body });
  expect((await bodyOf('{"token":"t"}', { "content-type": "application/json" })).status).toBe(415);
  expect((await bodyOf("token=a&token=b")).status).toBe(400);
  expect((await bodyOf("token=%ff")).status).toBe(200);
  expect((await bodyOf(Buffer.from([0x74, 0xff]))).status).toBe(400);
  expect((await bodyOf(`token=${"a".repeat(17_000)}`)).status).toBe(413);
  expect(muster.caller.calls.length).toBe(1);
});

test("a form carries no credentials and no language of its request to the route", async () => {
  const headers = { ...FORM, authorization: "Basic dXNlcjpwYXNz", "accept-language": "de" };
  await post("recover-cancel", { token: "t" }, { headers });
  const sent = muster.caller.last.options.headers;
  expect(sent?.get("authorization")).toBeUndefined();
  expect(sent?.get("muster-client-address")).toBe("127.0.0.1");
});

test("assets are served; other paths below /m are none of the pages", async () => {
  const style = await send(muster.port, "/m/page.css");
  expect([style.status, style.headers["content-type"]]).toEqual([200, "text/css; charset=utf-8"]);
  const script = await send(muster.port, "/m/page.js");
  expect([script.status, script.headers["content-type"]]).toEqual([200, "text/javascript; charset=utf-8"]);
  for (const path of ["/m", "/m/", "/m/nothing", "/m/unlock/", "/m/constructor"]) {
    expect((await send(muster.port, path)).status, path).toBe(404);
  }
  expect(muster.logged().map(({ route }) => route)).toEqual([
    "/m/page.css",
    "/m/page.js",
    ...Array(5).fill(undefined),
  ]);
});
