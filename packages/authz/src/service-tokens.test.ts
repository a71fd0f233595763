import type { Clock } from "@muster/core";
import { decodeJwt, jwtVerify, SignJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { describe, expect, test } from "vitest";
import { ServiceTokens } from "./service-tokens.ts";

const KEY = new Uint8Array(32).fill(7);
const START_MS = Date.UTC(2030, 0, 1);

function settableClock(): Clock & { ms: number } {
  const clock = {
    ms: START_MS,
    nowMs: () => clock.ms,
    monotonicMs: () => clock.ms,
    sleep: () => Promise.resolve(),
  };
  return clock;
}

function signed(claims: Record<string, unknown>, key: Uint8Array = KEY): Promise<string> {
  const seconds = START_MS / 1000;
  return new SignJWT({ iss: "events", aud: "muster", iat: seconds, exp: seconds + 60, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(key);
}

describe("ServiceTokens", () => {
  test("a token is a standard JWT that lives a minute", async () => {
    const clock = settableClock();
    const token = new ServiceTokens({ service: "segments", key: KEY, clock }).mint();

    const { payload, protectedHeader } = await jwtVerify(token, KEY, {
      audience: "muster",
      currentDate: new Date(START_MS),
    });

    expect(protectedHeader.alg).toBe("HS256");
    expect(payload).toEqual({
      iss: "segments",
      aud: "muster",
      iat: START_MS / 1000,
      exp: START_MS / 1000 + 60,
    });
  });

  test("another service of the same key verifies it, until it has expired, cached or not", () => {
    const clock = settableClock();
    const token = new ServiceTokens({ service: "segments", key: KEY, clock }).mint();
    const events = new ServiceTokens({ service: "events", key: KEY, clock });

    expect(events.verify(token)).toEqual({ service: "segments", actAsDemo: false });
    clock.ms += 64_999;
    expect(events.verify(token)).toEqual({ service: "segments", actAsDemo: false });
    clock.ms += 1;
    expect(events.verify(token)).toBeUndefined();
    expect(events.verify(token)).toBeUndefined();
    expect(new ServiceTokens({ service: "events", key: KEY, clock }).verify(token)).toBeUndefined();
  });

  test("minting is cached, and renewed well before the end", () => {
    const clock = settableClock();
    const tokens = new ServiceTokens({ service: "segments", key: KEY, clock });
    const first = tokens.mint();

    clock.ms += 39_999;
    expect(tokens.mint()).toBe(first);
    clock.ms += 1;
    const second = tokens.mint();
    expect(second).not.toBe(first);
    expect(decodeJwt(second).exp).toBe(clock.ms / 1000 + 60);
  });

  test("a clock that is set back mints a token that others accept", () => {
    const clock = settableClock();
    const tokens = new ServiceTokens({ service: "segments", key: KEY, clock });
    tokens.mint();
    clock.ms -= 3_600_000;
    const token = tokens.mint();
    expect(decodeJwt(token).iat).toBe(clock.ms / 1000);
    expect(tokens.verify(token)).toBeDefined();
  });

  test("only the gateway acts for the demo organization", async () => {
    const clock = settableClock();
    const gateway = new ServiceTokens({ service: "gateway", key: KEY, clock });
    const events = new ServiceTokens({ service: "events", key: KEY, clock });

    expect(events.verify(gateway.mint({ actAsDemo: true }))).toEqual({ service: "gateway", actAsDemo: true });
    expect(events.verify(gateway.mint())).toEqual({ service: "gateway", actAsDemo: false });
    expect(() => events.mint({ actAsDemo: true })).toThrow("only the gateway");
    expect(gateway.verify(await signed({ act: "demo" }))).toBeUndefined();
    expect(gateway.verify(await signed({ act: "root", iss: "gateway" }))).toBeUndefined();
  });

  test("a token signed, made or meant otherwise is refused", async () => {
    const clock = settableClock();
    const tokens = new ServiceTokens({ service: "events", key: KEY, clock });
    const seconds = START_MS / 1000;
    expect(tokens.verify(await signed({}))).toEqual({ service: "events", actAsDemo: false });

    const unsecured = `${btoa('{"alg":"none"}')}.${btoa('{"iss":"events","aud":"muster"}')}.`;
    const claims = { iss: "events", aud: "muster", iat: seconds, exp: seconds + 60 };
    const wrongAlgorithm = jsonwebtoken.sign(claims, Buffer.from(KEY), { algorithm: "HS512" });
    const brokenPayload = `${btoa('{"alg":"HS256"}')}.${btoa("{nope")}.AAAA`;
    const refused = [
      await signed({}, new Uint8Array(32).fill(8)),
      await signed({ aud: "elsewhere" }),
      await signed({ aud: undefined }),
      await signed({ exp: undefined }),
      await signed({ exp: seconds + 3_600 }),
      await signed({ iat: seconds + 30, exp: seconds + 60 }),
      await signed({ iss: undefined }),
      await signed({ iss: "Events; DROP" }),
      await signed({ iss: 7 }),
      wrongAlgorithm,
      unsecured,
      brokenPayload,
      "",
      "a.b",
      "a.b.c",
      "x".repeat(100_000),
    ];
    for (const token of refused) expect(tokens.verify(token), token).toBeUndefined();
  });

  test("a short key is refused at the start", () => {
    const clock = settableClock();
    expect(() => new ServiceTokens({ service: "events", key: new Uint8Array(31), clock })).toThrow(
      "32 bytes",
    );
  });
});
