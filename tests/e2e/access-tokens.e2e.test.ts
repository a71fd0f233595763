// Tests access tokens over REST in both modes: every service accepts a good token and refuses all others.
import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { Role } from "@muster/authz";
import { type OrganizationId, randomIds, systemClock, type UserId } from "@muster/core";
import { type Database, openMysql, openSqlite } from "@muster/db";
import { waitFor } from "@muster/testkit";
import { createRemoteJWKSet, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { insertMembership } from "../../services/identity/src/memberships/membership-store.ts";
import { Passwords } from "../../services/identity/src/passwords/passwords.ts";
import { insertUser } from "../../services/identity/src/users/user-store.ts";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { runMuster } from "../harness/process.ts";
import { RestClient } from "../harness/rest.ts";

const EMAIL = "ada@example.test";
const ADMIN_EMAIL = "grace@example.test";
const PASSWORD = "a quiet lake at noon";
/** A second is the aim; the rest is for a busy machine. */
const WITHDRAWAL_MS_MAX = 5_000;
/** More than one transaction ends. */
const KEYS = 105;
/** A read of each service. */
const PATHS = ["/v1/api-keys", "/v1/profiles", "/v1/segments"];
const SCOPES = ["api_keys.read", "profiles.read", "segments.read"];

/** Processes start during tests. */
vi.setConfig({ testTimeout: 60_000 });

describe.each(["embedded", "production"] as const)("access tokens in %s mode", (mode) => {
  let installation: Installation;
  let adminId: UserId;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    await storeUser(installation, { email: EMAIL, role: "owner" });
    adminId = await storeUser(installation, { email: ADMIN_EMAIL, role: "admin" });
  }, 120_000);
  afterAll(() => installation?.stop());

  const by = (credential: string) => new RestClient({ url: installation.url, apiKey: credential });

  async function login(email = EMAIL): Promise<{ access_token: string; refresh_token: string }> {
    const { status, body, text } = await by("none").post("/v1/login", { email, password: PASSWORD });
    expect(status, text).toBe(200);
    return body;
  }

  /** The distinct outcomes of a read of each service. */
  async function outcomes(token: string): Promise<string[]> {
    const responses = await Promise.all(PATHS.map((path) => by(token).get(path)));
    return [...new Set(responses.map(({ status, body }) => `${status} ${body.reason ?? ""}`.trim()))];
  }

  const verified = (token: string) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${installation.url}/.well-known/jwks.json`)), {
      issuer: "muster",
      audience: "muster",
      typ: "at+jwt",
      algorithms: ["ES256"],
    });

  test("a login's token is a JWT that another library verifies by the published keys", async () => {
    const { access_token: token } = await login();
    const { payload, protectedHeader } = await verified(token);
    expect(Object.keys(payload).sort()).toEqual(
      ["aud", "exp", "iat", "iss", "jti", "org", "sid", "sub"].sort(),
    );
    expect(protectedHeader).toEqual({ alg: "ES256", typ: "at+jwt", kid: expect.any(String) });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
    await waitFor(async () => (await outcomes(token)).join() === "200");
  });

  test("every service refuses what identity did not sign", async () => {
    const { access_token: token } = await login();
    const { payload, protectedHeader } = await verified(token);
    const [head = "", body = "", signature = ""] = token.split(".");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = (claims: JWTPayload, kid = protectedHeader.kid) =>
      new SignJWT({ ...payload, ...claims })
        .setProtectedHeader({ ...protectedHeader, alg: "ES256", kid: kid ?? "" })
        .sign(privateKey);
    const hs256 = `${part({ ...protectedHeader, alg: "HS256" })}.${body}`;
    const tokens = [
      await signed({}),
      await signed({}, randomIds.next(systemClock.nowMs())),
      `${part({ ...protectedHeader, alg: "none" })}.${body}.`,
      `${part({ ...protectedHeader, alg: "none" })}.${body}.${signature}`,
      `${hs256}.${createHmac("sha256", "muster").update(hs256).digest("base64url")}`,
      `${head}.${part({ ...payload, org: randomIds.next(0) })}.${signature}`,
      `${head}.${part({ ...payload, exp: 4_102_444_800 })}.${signature}`,
      `${head}.${body}.${"A".repeat(86)}`,
      `${head}.${body}`,
      `${"x".repeat(4_000)}.${body}.${signature}`,
    ];
    for (const one of tokens) expect(await outcomes(one), one).toEqual(["401 UNAUTHENTICATED"]);
    expect(await outcomes(token)).toEqual(["200"]);
  });

  test("a withdrawn key is refused by every service at once, and a refresh goes on", async () => {
    const { access_token: token, refresh_token } = await login();
    const { kid = "" } = (await verified(token)).protectedHeader;
    await waitFor(async () => (await outcomes(token))[0] === "200");
    const { code, stderr } = await runMuster(
      ["rotate-signing-key", "--withdraw", kid],
      installation.variables,
    );
    expect([code, stderr]).toEqual([0, ""]);
    const sinceMs = systemClock.monotonicMs();
    await waitFor(async () => (await outcomes(token)).join() === "401 UNAUTHENTICATED");
    expect(systemClock.monotonicMs() - sinceMs).toBeLessThan(WITHDRAWAL_MS_MAX);

    const refreshed = await by(token).post("/v1/token:refresh", { refresh_token });
    expect(refreshed.status).toBe(200);
    expect((await verified(refreshed.body.access_token)).protectedHeader.kid).not.toBe(kid);
    await waitFor(async () => (await outcomes(refreshed.body.access_token)).join() === "200");
  });

  test("after a logout, every service answers SESSION_ENDED", async () => {
    const { access_token: token } = await login();
    await waitFor(async () => (await outcomes(token)).join() === "200");
    expect((await by(token).post("/v1/logout", {})).status).toBe(204);
    await waitFor(async () => (await outcomes(token)).join() === "401 SESSION_ENDED");
  });

  test("a key with `grant_up_to` invites up to that role, until an owner takes the rank away", async () => {
    const owner = by((await login()).access_token);
    const scopes = ["users.invite", "users.read", "api_keys.write"];
    const request = { name: "Inviter", scopes, grant_up_to: "admin" };
    const refused = await by((await login(ADMIN_EMAIL)).access_token).post("/v1/api-keys", request);
    expect([refused.status, refused.body.reason]).toEqual([403, "PERMISSION_DENIED"]);
    const made = await owner.post("/v1/api-keys", request);
    expect([made.status, made.body.api_key?.grant_up_to]).toEqual([201, "admin"]);
    const key = by(made.body.secret);
    let invited = 0;
    const invite = async (role: string): Promise<number> => {
      invited += 1;
      const email = `invited.${invited}@example.test`;
      return (await key.post("/v1/users", { email, name: "Invited", role })).status;
    };
    expect([await invite("admin"), await invite("member"), await invite("owner")]).toEqual([201, 201, 403]);
    const path = `/v1/api-keys/${made.body.api_key.id}`;
    expect((await key.request("PATCH", path, { grant_up_to: "admin" })).status).toBe(403);
    const changed = await owner.request("PATCH", path, { grant_up_to: null });
    expect([changed.status, changed.body.grant_up_to]).toEqual([200, null]);
    await waitFor(async () => (await invite("admin")) === 403);
    expect(await invite("member")).toBe(201);
  });

  test("an export is read by ranges after a transfer that broke off, by its requester alone", async () => {
    const { access_token: token } = await login();
    const owner = by(token);
    const { id } = (await owner.get("/v1/me")).body;
    const begun = await owner.post(`/v1/users/${id}/export`, {});
    expect(begun.status, begun.text).toBe(202);
    const operation = async () => (await owner.get(`/v1/operations/${begun.body.operation.id}`)).body;
    await waitFor(async () => (await operation()).state === "succeeded");
    const path = `/v1/exports/${(await operation()).result.token}`;
    const get = async (headers: Record<string, string>, as = token) => {
      const sent = { authorization: `Bearer ${as}`, ...headers };
      const response = await fetch(installation.url + path, { headers: sent });
      const body = Buffer.from(await response.arrayBuffer());
      return { status: response.status, contentRange: response.headers.get("content-range"), body };
    };
    const head = await owner.request("HEAD", path);
    const size = Number(head.headers.get("content-length"));
    const etag = head.headers.get("etag") ?? "";
    expect([head.status, head.headers.get("accept-ranges")]).toEqual([200, "bytes"]);
    // Without a claim.
    const beyond = await get({ range: `bytes=${size}-` });
    expect([beyond.status, beyond.contentRange]).toEqual([416, `bytes */${size}`]);
    const broken = new AbortController();
    const whole = await fetch(installation.url + path, {
      headers: { authorization: `Bearer ${token}` },
      signal: broken.signal,
    });
    expect(whole.status).toBe(200);
    broken.abort();

    const resume = (range: string) => ({ range: `bytes=${range}`, "if-range": etag });
    const refused = [
      {},
      { range: "bytes=10-" },
      { ...resume("10-"), "if-range": '"stale"' },
      // Several ranges are ignored, so this is a second whole download.
      resume("0-1,5-6"),
    ];
    for (const headers of refused) expect((await get(headers)).status, JSON.stringify(headers)).toBe(410);
    const { access_token: otherSession } = await login();
    const parts = [
      await get(resume("0-99")),
      await get(resume(`100-${size - 11}`), otherSession),
      await get(resume("-10")),
    ];
    expect(parts.map(({ status, contentRange }) => [status, contentRange])).toEqual([
      [206, `bytes 0-99/${size}`],
      [206, `bytes 100-${size - 11}/${size}`],
      [206, `bytes ${size - 10}-${size - 1}/${size}`],
    ]);
    const digest = createHash("sha256").update(Buffer.concat(parts.map(({ body }) => body)));
    expect(etag).toBe(`"${digest.digest("hex")}"`);
    const { access_token: admin } = await login(ADMIN_EMAIL);
    for (const other of [admin, installation.apiKey]) {
      expect((await get(resume("0-99"), other)).status).toBe(404);
    }
  });

  test("a removal with `revoke_api_keys` ends every key of the member in every service", async () => {
    const admin = by((await login(ADMIN_EMAIL)).access_token);
    const secrets: string[] = [];
    for (let number = 0; number < KEYS; number += 1) {
      const { status, body, text } = await admin.post("/v1/api-keys", {
        name: `Key ${number}`,
        scopes: SCOPES,
      });
      expect(status, text).toBe(201);
      secrets.push(body.secret);
    }
    const owner = by((await login()).access_token);
    const list = `/v1/api-keys?created_by=${adminId}`;
    expect(await owner.all(list, "api_keys")).toHaveLength(KEYS);
    const used = [secrets[0] ?? "", secrets.at(-1) ?? ""];
    for (const secret of used) expect(await outcomes(secret)).toEqual(["200"]);
    const removed = await owner.request("DELETE", `/v1/users/${adminId}?revoke_api_keys=true`);
    expect(removed.status, removed.text).toBe(204);
    expect((await owner.get(list)).body.api_keys).toEqual([]);
    for (const secret of used) {
      await waitFor(async () => (await outcomes(secret)).join() === "401 UNAUTHENTICATED");
    }
  });

  // The last test, because processes end.
  test("processes that stop report the calls of API keys that they have counted", async () => {
    const { access_token: token } = await login();
    const made = await by(token).post("/v1/api-keys", { name: "Counted", scopes: SCOPES });
    expect(made.status, made.text).toBe(201);
    const key = by(made.body.secret);
    const path = `/v1/api-keys/${made.body.api_key.id}/usage?window=7d`;
    for (const one of [...PATHS, ...PATHS]) expect((await key.get(one)).status, one).toBe(200);
    expect((await key.post("/v1/segments", {})).status).toBe(403);
    // Identity is last, because events and segments report to identity.
    for (const name of ["events", "segments", "identity", "all"]) {
      await installation.processes.get(name)?.end("SIGTERM");
    }
    await installation.processes.get(mode === "embedded" ? "all" : "identity")?.start();
    await waitFor(async () => (await by(token).get(path)).status === 200);
    const { body } = await by(token).get(path);
    expect(body.days.map(({ calls }: { calls: number }) => calls).reduce(sum)).toBe(2 * PATHS.length);
    expect(body.days).toHaveLength(7);
    expect(body.last_used_time).toEqual(expect.any(String));
  });
});

function sum(a: number, b: number): number {
  return a + b;
}

/** Stores a member of the installation's organization. */
async function storeUser(
  installation: Installation,
  { email, role }: { readonly email: string; readonly role: Role },
): Promise<UserId> {
  const { body } = await new RestClient(installation).get("/v1/organizations");
  const organizationId = body.organizations[0].id as OrganizationId;
  const passwordHash = await new Passwords({ clock: systemClock, slots: 1 }).hash(PASSWORD);
  const nowMs = systemClock.nowMs();
  const userId = randomIds.next<UserId>(nowMs);
  const times = { createTimeMs: nowMs, updateTimeMs: nowMs };
  const database = await openIdentity(installation);
  await database.transaction(async (trx) => {
    await insertUser(trx, {
      ...times,
      id: userId,
      email,
      emailKey: email,
      isEmailVerified: true,
      name: "Ada",
      locale: undefined,
      passwordHash,
      isPasswordResetRequired: false,
      securityVersion: 1,
      lastOrganizationId: undefined,
    });
    const membership = { organizationId, userId, name: "Ada", role, status: "active" } as const;
    const logins = { lastLoginTimeMs: undefined, loginCount: 0, version: 1 };
    await insertMembership(trx, { ...membership, ...logins, ...times });
  });
  await database.close();
  return userId;
}

function openIdentity({ mode, variables }: Installation): Promise<Database> {
  const { MUSTER_DATA_DIR = "", MUSTER_DATABASE_URL = "", MUSTER_DATABASE_PREFIX = "" } = variables;
  return mode === "embedded"
    ? openSqlite({ path: join(MUSTER_DATA_DIR, "identity.sqlite") })
    : openMysql({ url: MUSTER_DATABASE_URL, database: `${MUSTER_DATABASE_PREFIX}identity` });
}
