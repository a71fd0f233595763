// Issues and verifies the short-lived tokens by which the services of an installation authenticate to each
// other. Tokens are JWTs signed with a key that every service derives from the installation's secret.
import { createSecretKey, type KeyObject } from "node:crypto";
import { assert, type Clock } from "@muster/core";
import jsonwebtoken from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import type { ServiceTokenClaims, ServiceTokenPort } from "./principal.ts";

const AUDIENCE = "muster";
const ALGORITHM = "HS256";
const KEY_BYTES_MIN = 32;
const LIFETIME_S = 60;
/** Largest accepted difference between the clocks of two machines. */
const CLOCK_TOLERANCE_S = 5;
/** A cached token is replaced when less than this time of its life is left. */
const REPLACE_BEFORE_MS = 20_000;
const VERIFIED_TOKENS_MAX = 1_000;
const TOKEN_CHARACTERS_MAX = 1_024;
const SERVICE_NAME = /^[a-z][a-z0-9_-]{0,31}$/;
/** The only service with outside callers, and therefore the only service that may mark a caller as local. */
const GATEWAY = "gateway";
const ACT_DEMO = "demo";

interface Verified {
  readonly claims: ServiceTokenClaims;
  /** Epoch ms, tolerance included. */
  readonly validUntilMs: number;
}

interface Minted {
  readonly token: string;
  readonly replaceAtMs: number;
}

export class ServiceTokens implements ServiceTokenPort {
  readonly #service: string;
  readonly #key: KeyObject;
  readonly #clock: Clock;
  readonly #minted = new Map<boolean, Minted>();
  readonly #verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS_MAX });

  constructor(options: { readonly service: string; readonly key: Uint8Array; readonly clock: Clock }) {
    assert(options.key.length >= KEY_BYTES_MIN, "the service token key has fewer than 32 bytes");
    assert(SERVICE_NAME.test(options.service), `no service name: ${options.service}`);
    this.#service = options.service;
    this.#key = createSecretKey(options.key);
    this.#clock = options.clock;
  }

  mint(options: { readonly actAsDemo?: boolean } = {}): string {
    const actAsDemo = options.actAsDemo ?? false;
    assert(
      !actAsDemo || this.#service === GATEWAY,
      "only the gateway's token acts for the demo organization",
    );
    const nowMs = this.#clock.nowMs();
    const cached = this.#minted.get(actAsDemo);
    // The second bound detects a clock that was set back.
    if (
      cached !== undefined &&
      nowMs < cached.replaceAtMs &&
      nowMs > cached.replaceAtMs - LIFETIME_S * 1000
    ) {
      return cached.token;
    }
    const issuedAtS = Math.floor(nowMs / 1000);
    const claims = { iat: issuedAtS, ...(actAsDemo ? { act: ACT_DEMO } : {}) };
    const token = jsonwebtoken.sign(claims, this.#key, {
      algorithm: ALGORITHM,
      issuer: this.#service,
      audience: AUDIENCE,
      expiresIn: LIFETIME_S,
    });
    this.#minted.set(actAsDemo, {
      token,
      replaceAtMs: (issuedAtS + LIFETIME_S) * 1000 - REPLACE_BEFORE_MS,
    });
    return token;
  }

  verify(token: string): ServiceTokenClaims | undefined {
    if (token.length > TOKEN_CHARACTERS_MAX) return undefined;
    const nowMs = this.#clock.nowMs();
    const cached = this.#verified.get(token);
    if (cached !== undefined) {
      if (nowMs < cached.validUntilMs) return cached.claims;
      this.#verified.delete(token);
      return undefined;
    }
    const verified = this.#check(token, nowMs);
    if (verified === undefined) return undefined;
    this.#verified.set(token, verified);
    return verified.claims;
  }

  #check(token: string, nowMs: number): Verified | undefined {
    const payload = this.#payload(token, nowMs);
    if (payload === undefined) return undefined;
    const { iss, iat, exp, act } = payload;
    if (iss === undefined || !SERVICE_NAME.test(iss)) return undefined;
    if (iat === undefined || exp === undefined || exp - iat > LIFETIME_S) return undefined;
    if (iat * 1000 > nowMs + CLOCK_TOLERANCE_S * 1000) return undefined;
    if (act !== undefined && (act !== ACT_DEMO || iss !== GATEWAY)) return undefined;
    return {
      claims: { service: iss, actAsDemo: act === ACT_DEMO },
      validUntilMs: (exp + CLOCK_TOLERANCE_S) * 1000,
    };
  }

  #payload(token: string, nowMs: number): jsonwebtoken.JwtPayload | undefined {
    try {
      const payload = jsonwebtoken.verify(token, this.#key, {
        algorithms: [ALGORITHM],
        audience: AUDIENCE,
        clockTimestamp: Math.floor(nowMs / 1000),
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      return typeof payload === "string" ? undefined : payload;
    } catch (error) {
      if (error instanceof jsonwebtoken.JsonWebTokenError) return undefined;
      // The library throws a SyntaxError for broken JSON inside a token.
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}
