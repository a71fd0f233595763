// Signs and reads access tokens: JWTs (RFC 9068) that name a user, a session and its organization.
import type { KeyObject } from "node:crypto";
import { isUuid, type OrganizationId, type SessionId, type SigningKeyId, type UserId } from "@muster/core";
import jsonwebtoken from "jsonwebtoken";

/** The `iss` and the `aud` of every access token. The keys differ by installation. */
const ISSUER = "muster";
const ALGORITHM = "ES256";
const TYPE = "at+jwt";
export const ACCESS_TOKEN_LIFETIME_S = 300;
/** Tokens of Muster have about 600 characters. */
export const ACCESS_TOKEN_CHARACTERS_MAX = 2_048;
/** How far the clock of the signing machine may be ahead. */
const CLOCK_AHEAD_S_MAX = 120;
const FORM = /^[\w-]+\.[\w-]+\.[\w-]{86}$/;
const HEADER_NAMES = "alg,kid,typ";

export interface AccessTokenClaims {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly organizationId: OrganizationId | undefined;
}

/** A token whose signature and claims are right. */
export interface VerifiedAccessToken extends AccessTokenClaims {
  readonly signingKeyId: SigningKeyId;
  readonly expireTimeMs: number;
}

export interface SigningOptions {
  readonly key: KeyObject;
  readonly signingKeyId: SigningKeyId;
  readonly nowMs: number;
  /** The `jti`. */
  readonly tokenId: string;
}

export function signAccessToken(claims: AccessTokenClaims, options: SigningOptions): string {
  const issuedAtS = Math.floor(options.nowMs / 1000);
  const { userId: sub, sessionId: sid, organizationId: org } = claims;
  const payload = {
    iss: ISSUER,
    aud: ISSUER,
    sub,
    sid,
    ...(org === undefined ? {} : { org }),
    iat: issuedAtS,
    exp: issuedAtS + ACCESS_TOKEN_LIFETIME_S,
    jti: options.tokenId,
  };
  const header = { alg: ALGORITHM, typ: TYPE, kid: options.signingKeyId };
  return jsonwebtoken.sign(payload, options.key, { algorithm: ALGORITHM, header });
}

/** Whether the text has the form of an access token. */
export function isAccessToken(text: string): boolean {
  return text.length <= ACCESS_TOKEN_CHARACTERS_MAX && FORM.test(text);
}

/** The key that a token names; undefined where the header is not that of an access token. */
export function signingKeyIdOf(token: string): SigningKeyId | undefined {
  const header = jsonOf(token.slice(0, token.indexOf(".")));
  // A header with more names, such as `crit`, demands what nobody checks.
  if (header === undefined || Object.keys(header).sort().join() !== HEADER_NAMES) return undefined;
  const { alg, typ, kid } = header;
  if (alg !== ALGORITHM || typ !== TYPE || typeof kid !== "string" || !isUuid(kid)) return undefined;
  return kid as SigningKeyId;
}

/** Whether the `exp` of the token has passed. Reads no signature, so the result serves for refusals alone. */
export function hasExpired(token: string, nowMs: number): boolean {
  const [, payload = ""] = token.split(".");
  const { exp } = jsonOf(payload) ?? {};
  return isTime(exp) && exp * 1000 <= nowMs;
}

/** Undefined unless the key signed the token and every claim but `exp` is right: the caller compares the time. */
export function readAccessToken(
  token: string,
  { key, signingKeyId, nowMs }: Omit<SigningOptions, "tokenId">,
): VerifiedAccessToken | undefined {
  const payload = payloadOf(token, key, nowMs);
  if (payload === undefined) return undefined;
  const { sub, sid, org, iat, exp, jti } = payload;
  if (!isId(sub) || !isId(sid) || !isId(jti) || !(org === undefined || isId(org))) return undefined;
  if (!isTime(iat) || !isTime(exp) || exp - iat > ACCESS_TOKEN_LIFETIME_S) return undefined;
  if (iat > nowMs / 1000 + CLOCK_AHEAD_S_MAX) return undefined;
  return {
    userId: sub as UserId,
    sessionId: sid as SessionId,
    organizationId: org as OrganizationId | undefined,
    signingKeyId,
    expireTimeMs: exp * 1000,
  };
}

function jsonOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function payloadOf(token: string, key: KeyObject, nowMs: number): jsonwebtoken.JwtPayload | undefined {
  try {
    const payload = jsonwebtoken.verify(token, key, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: ISSUER,
      clockTimestamp: Math.floor(nowMs / 1000),
      ignoreExpiration: true,
    });
    return typeof payload === "string" ? undefined : payload;
  } catch (error) {
    if (error instanceof jsonwebtoken.JsonWebTokenError) return undefined;
    // The library throws a SyntaxError for broken JSON inside a token.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isId(claim: unknown): claim is string {
  return typeof claim === "string" && isUuid(claim);
}

function isTime(claim: unknown): claim is number {
  return Number.isSafeInteger(claim);
}
