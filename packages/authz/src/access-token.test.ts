import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { OrganizationId, SessionId, SigningKeyId, UserId } from "@muster/core";
import { exportJWK, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import {
  ACCESS_TOKEN_CHARACTERS_MAX,
  hasExpired,
  isAccessToken,
  readAccessToken,
  signAccessToken,
  signingKeyIdOf,
} from "./access-token.ts";

const NOW_MS = Date.UTC(2030, 0, 1);
const NOW_S = NOW_MS / 1000;
const id = (digits: string): string => `0190a5b4-0000-7000-8000-${digits.padStart(12, "0")}`;
const signingKeyId = id("1") as SigningKeyId;
const claims = {
  userId: id("2") as UserId,
  sessionId: id("3") as SessionId,
  organizationId: id("4") as OrganizationId,
};
const tokenId = id("5");
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const signed = signAccessToken(claims, { key: privateKey, signingKeyId, nowMs: NOW_MS, tokenId });

/** What a service does with a token: undefined is 401. */
function accept(token: string, { nowMs = NOW_MS, key = publicKey } = {}) {
  if (!isAccessToken(token) || hasExpired(token, nowMs)) return undefined;
  if (signingKeyIdOf(token) !== signingKeyId) return undefined;
  return readAccessToken(token, { key, signingKeyId, nowMs });
}

const goodHeader = { alg: "ES256", typ: "at+jwt", kid: signingKeyId };
const goodPayload = {
  iss: "muster",
  aud: "muster",
  sub: claims.userId,
  sid: claims.sessionId,
  org: claims.organizationId,
  iat: NOW_S,
  exp: NOW_S + 300,
  jti: tokenId,
};

/** A token by jose that differs from a good one in these parts. */
function made(payload: object = {}, header: object = {}, key: KeyObject = privateKey): Promise<string> {
  return new SignJWT({ ...goodPayload, ...payload })
    .setProtectedHeader({ ...goodHeader, ...header } as JWTHeaderParameters)
    .sign(key);
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("an access token", () => {
  test("is a standard JWT that another library verifies, with exactly these claims", async () => {
    const { payload, protectedHeader } = await jwtVerify(signed, publicKey, {
      issuer: "muster",
      audience: "muster",
      typ: "at+jwt",
      algorithms: ["ES256"],
      currentDate: new Date(NOW_MS),
    });
    expect(protectedHeader).toEqual(goodHeader);
    expect(payload).toEqual(goodPayload);
    expect(signed.length).toBeLessThan(ACCESS_TOKEN_CHARACTERS_MAX / 2);
  });

  test("without an organization has no org claim", async () => {
    const options = { key: privateKey, signingKeyId, nowMs: NOW_MS, tokenId };
    const token = signAccessToken({ ...claims, organizationId: undefined }, options);
    const { payload } = await jwtVerify(token, publicKey, { currentDate: new Date(NOW_MS) });
    expect(payload).not.toHaveProperty("org");
    expect(accept(token)).toMatchObject({ userId: claims.userId, organizationId: undefined });
  });

  test("is read back until its end", async () => {
    const expected = { ...claims, signingKeyId, expireTimeMs: NOW_MS + 300_000 };
    expect(accept(signed)).toEqual(expected);
    expect(accept(await made())).toEqual(expected);
    expect(accept(signed, { nowMs: NOW_MS + 299_999 })).toEqual(expected);
    expect(accept(signed, { nowMs: NOW_MS + 300_000 })).toBeUndefined();
  });

  test("of a clock that is a minute ahead is read", () => {
    expect(accept(signed, { nowMs: NOW_MS - 60_000 })).toBeDefined();
    expect(accept(signed, { nowMs: NOW_MS - 121_000 })).toBeUndefined();
  });
});

describe("refused is a token", () => {
  test.each<[string, object]>([
    ["of another issuer", { iss: "elsewhere" }],
    ["without an issuer", { iss: undefined }],
    ["for another audience", { aud: "elsewhere" }],
    ["without an audience", { aud: undefined }],
    ["that has expired", { iat: NOW_S - 300, exp: NOW_S }],
    ["that never expires", { exp: undefined }],
    ["that lives too long", { exp: NOW_S + 301 }],
    ["that is not valid yet", { nbf: NOW_S + 60 }],
    ["without a time of issue", { iat: undefined }],
    ["without a user", { sub: undefined }],
    ["of a user that is no id", { sub: "ada" }],
    ["without a session", { sid: undefined }],
    ["of an organization that is no id", { org: "Acme" }],
    ["of an organization that is null", { org: null }],
    ["without an id", { jti: undefined }],
  ])("%s", async (_, payload) => {
    expect(accept(await made(payload))).toBeUndefined();
  });

  test.each<[string, object]>([
    ["of another type", { typ: "JWT" }],
    ["without a type", { typ: undefined }],
    ["without a key id", { kid: undefined }],
    ["with a key id that is a path", { kid: "../../etc/passwd" }],
    ["that brings its own key", { jwk: { kty: "EC" } }],
    ["that names a set of keys", { jku: "https://attacker.example/jwks.json" }],
  ])("%s", async (_, header) => {
    expect(accept(await made({}, header))).toBeUndefined();
  });

  test("with a critical extension that nobody understands", () => {
    const head = part({ ...goodHeader, crit: ["exp2"], exp2: 1 });
    expect(accept(`${head}.${signed.split(".").slice(1).join(".")}`)).toBeUndefined();
  });

  test("of another key, also when it names ours", async () => {
    const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(accept(await made({}, {}, foreign.privateKey))).toBeUndefined();
    expect(accept(signed, { key: foreign.publicKey })).toBeUndefined();
  });

  test("of another algorithm, or of none", async () => {
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const unsigned = `${part({ ...goodHeader, alg: "none" })}.${part(goodPayload)}`;
    const tokens = [
      await made({}, { alg: "ES384" }, p384),
      await made({}, { alg: "RS256" }, rsa),
      `${unsigned}.`,
      `${unsigned}.${"A".repeat(86)}`,
    ];
    for (const token of tokens) expect(accept(token), token).toBeUndefined();
  });

  test("that takes the public key for a shared secret", async () => {
    const secret = JSON.stringify(await exportJWK(publicKey));
    for (const alg of ["HS256", "ES256"]) {
      const text = `${part({ ...goodHeader, alg })}.${part(goodPayload)}`;
      const mac = createHmac("sha512", secret).update(text).digest("base64url");
      expect(accept(`${text}.${mac}`)).toBeUndefined();
    }
  });

  test("whose parts were exchanged or garbled", async () => {
    const [head, payload, signature] = signed.split(".");
    const [, otherPayload] = (await made({ sub: id("9") })).split(".");
    const tokens = [
      `${head}.${otherPayload}.${signature}`,
      `${head}.${payload}.${"A".repeat(86)}`,
      `${head}.e25vcGU.${signature}`,
      `e25vcGU.${payload}.${signature}`,
      `bnVsbA.${payload}.${signature}`,
      `${head}.${payload}`,
      `${signed}.${signature}`,
      `${signed} `,
      "..",
      "",
    ];
    for (const token of tokens) expect(accept(token), token).toBeUndefined();
  });

  test("that is too long, without reading it", async () => {
    const token = await made({ padding: "x".repeat(ACCESS_TOKEN_CHARACTERS_MAX) });
    expect(isAccessToken(token)).toBe(false);
  });
});
