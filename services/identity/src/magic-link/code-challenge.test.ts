import { describe, expect, test } from "vitest";
import { challengeOf, isVerifierOf, readCodeChallenge } from "./code-challenge.ts";

/** RFC 7636, appendix B. */
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

test("the challenge of a verifier is that of RFC 7636", () => {
  expect(challengeOf(VERIFIER)?.toString("base64url")).toBe(CHALLENGE);
  expect(readCodeChallenge(CHALLENGE).toString("base64url")).toBe(CHALLENGE);
});

describe("refused as a challenge", () => {
  test.each([
    ["of 42 characters", CHALLENGE.slice(1)],
    ["of 44 characters", `${CHALLENGE}A`],
    ["with padding", `${CHALLENGE.slice(0, 42)}=`],
    ["in base64 with other characters", CHALLENGE.replaceAll("-", "+")],
    ["with unused bits", `${CHALLENGE.slice(0, 42)}N`],
    ["empty", ""],
  ])("%s", (_, text) => {
    expect(() => readCodeChallenge(text)).toThrow(expect.objectContaining({ reason: "FIELD_INVALID" }));
  });
});

describe("a link with a challenge is redeemed", () => {
  const challenge = readCodeChallenge(CHALLENGE);

  test("with its verifier", () => {
    expect(isVerifierOf(VERIFIER, challenge)).toBe(true);
  });

  test.each([
    ["without a verifier", undefined],
    ["with another verifier", VERIFIER.replace("d", "e")],
    ["with the challenge itself", CHALLENGE],
    ["with a short text", "short"],
    ["with a text of foreign characters", `${VERIFIER}/`],
  ])("never %s", (_, verifier) => {
    expect(isVerifierOf(verifier, challenge)).toBe(false);
  });
});

test("a link without a challenge is redeemed without a verifier only", () => {
  expect(isVerifierOf(undefined, undefined)).toBe(true);
  expect(isVerifierOf(VERIFIER, undefined)).toBe(false);
});
