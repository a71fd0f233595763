import { oathtoolCode } from "@muster/testkit";
import jsqr from "jsqr";
import { describe, expect, test } from "vitest";
import { otpauthUri, qrSvg } from "./otpauth.ts";
import { matchTotpStep, newTotpSecret, totpSecretText, totpStep } from "./totp.ts";

const RFC_SECRET = Buffer.from("12345678901234567890", "ascii");

/** RFC 6238, appendix B, SHA-1. The six-digit code is the end of the eight digits there. */
const RFC_VECTORS: readonly (readonly [number, string])[] = [
  [59, "94287082"],
  [1111111109, "07081804"],
  [1111111111, "14050471"],
  [1234567890, "89005924"],
  [2000000000, "69279037"],
  [20000000000, "65353130"],
];

describe("RFC 6238", () => {
  test.each(RFC_VECTORS)("at %i s the code is %s", (seconds, digits) => {
    expect(matchTotpStep(RFC_SECRET, digits.slice(-6), seconds * 1000)).toBe(Math.floor(seconds / 30));
  });
});

describe("a code of oathtool", () => {
  const stepStartMs = 1_800_000_000_000;
  const secret = newTotpSecret();

  test.each([-1, 0, 1])("of step %i is accepted", async (offset) => {
    const code = await oathtoolCode(totpSecretText(secret), stepStartMs + offset * 30_000);
    for (const nowMs of [stepStartMs, stepStartMs + 29_999]) {
      expect(matchTotpStep(secret, code, nowMs)).toBe(totpStep(stepStartMs) + offset);
    }
  });

  test.each([-2, 2])("of step %i is not", async (offset) => {
    const code = await oathtoolCode(totpSecretText(secret), stepStartMs + offset * 30_000);
    for (const nowMs of [stepStartMs, stepStartMs + 29_999]) {
      expect(matchTotpStep(secret, code, nowMs)).toBeUndefined();
    }
  });

  test("of another secret is not", async () => {
    const code = await oathtoolCode(totpSecretText(Buffer.alloc(20, 7)), stepStartMs);
    expect(matchTotpStep(Buffer.alloc(20, 8), code, stepStartMs)).toBeUndefined();
  });
});

test.each(["", "12345", "1234567", "abcdef", "12345\n", " 12345"])("%j is never a code", (code) => {
  expect(matchTotpStep(RFC_SECRET, code, 59_000)).toBeUndefined();
});

test("secrets have 160 bits and differ", () => {
  const [first, second] = [newTotpSecret(), newTotpSecret()];
  expect(first.length).toBe(20);
  expect(first.equals(second)).toBe(false);
  expect(totpSecretText(RFC_SECRET)).toBe("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
});

describe("the otpauth URI", () => {
  test("escapes the label, so that an address can change no parameter", () => {
    const label = "a:b&secret=X#?/+ä@example.test";
    const url = new URL(otpauthUri(label, RFC_SECRET));
    expect(url.pathname.split(":").length).toBe(2);
    expect(decodeURIComponent(url.pathname)).toBe(`/Muster:${label}`);
    expect([...url.searchParams]).toEqual([
      ["secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
      ["issuer", "Muster"],
      ["algorithm", "SHA1"],
      ["digits", "6"],
      ["period", "30"],
    ]);
  });

  test.each(["ada@example.test", `${"ü".repeat(150)}@example.test`])(
    "is what a scanner reads from the QR code of %s",
    (label) => {
      const uri = otpauthUri(label, RFC_SECRET);
      const { pixels, size } = rasterize(qrSvg(uri));
      expect(jsqr.default(pixels, size, size)?.data).toBe(uri);
    },
  );
});

/** Draws an SVG that consists of one path of unit squares, at four pixels per unit. */
function rasterize(svg: string): { pixels: Uint8ClampedArray; size: number } {
  const shape =
    /^<svg viewBox="0 0 (\d+) \1" xmlns="http:\/\/www.w3.org\/2000\/svg"><path d="([^"]+)"\/><\/svg>$/;
  const [, units, path] = shape.exec(svg) ?? [];
  const size = 4 * Number(units);
  const pixels = new Uint8ClampedArray(4 * size * size).fill(255);
  let [x, y] = [0, 0];
  for (const [, command, first, second] of (path ?? "").matchAll(/([Mm])(-?\d+) ?(-?\d+)h1v1[Hh]-?\d+Z/g)) {
    [x, y] = command === "M" ? [Number(first), Number(second)] : [x + Number(first), y + Number(second)];
    for (let pixel = 0; pixel < 16; pixel += 1) {
      const offset = 4 * ((4 * y + Math.floor(pixel / 4)) * size + 4 * x + (pixel % 4));
      pixels.fill(0, offset, offset + 3);
    }
  }
  return { pixels, size };
}
