import { expect, test } from "vitest";
import { isSignedBy, isTimely, parsePartnerSignature, partnerDigest } from "./partner-signature.ts";

const TIME = "1700000000";
const BODY = Buffer.from('{"external_id":"1"}');
const GOOD = partnerDigest("secret", TIME, BODY).toString("hex");
const OTHER = "ab".repeat(32);

const isSigned = (header: string, body = BODY): boolean | undefined => {
  const signature = parsePartnerSignature(header);
  return signature && isSignedBy("secret", signature, body);
};

test("the digest is the HMAC-SHA256 of the time, a dot and the body", () => {
  // Computed with `openssl dgst -sha256 -hmac secret`.
  expect(GOOD).toBe("c0a8bda79ca75815ebdfc3779b7ed10b212fcae5edc1875a8ddedd99f281bfed");
});

test.each([
  ["as printed", `t=${TIME},v1=${GOOD}`, true],
  ["in upper case", `t=${TIME},v1=${GOOD.toUpperCase()}`, true],
  ["after blanks", `t=${TIME}, v1=${GOOD}`, true],
  ["before the time", `v1=${GOOD},t=${TIME}`, true],
  ["beside another digest", `t=${TIME},v1=${OTHER},v1=${GOOD}`, true],
  ["wrong", `t=${TIME},v1=${OTHER}`, false],
  ["of another time", `t=1700000001,v1=${GOOD}`, false],
])("a digest %s", (_, header, expected) => {
  expect(isSigned(header)).toBe(expected);
});

test("a digest of another body is wrong", () => {
  expect(isSigned(`t=${TIME},v1=${GOOD}`, Buffer.from('{"external_id":"2"}'))).toBe(false);
});

test.each([
  "",
  "t=",
  `t=${TIME}`,
  `v1=${GOOD}`,
  `t=${TIME},v1=`,
  `t=${TIME},v1=${GOOD.slice(1)}`,
  `t=${TIME},v1=${GOOD}0`,
  `t=${TIME},v1=${"g".repeat(64)}`,
  `t=${TIME},t=${TIME},v1=${GOOD}`,
  `t=+${TIME},v1=${GOOD}`,
  `t=0${TIME},v1=${GOOD}`,
  `t=${TIME}.5,v1=${GOOD}`,
  `t=1e9,v1=${GOOD}`,
  `t=${"9".repeat(13)},v1=${GOOD}`,
  `t=${TIME},v1=${GOOD},`,
  `t=${TIME},v1=${GOOD}=`,
  `t=${TIME},v2=${GOOD}`,
  `t=${TIME},v1=${GOOD},v0=1`,
  `t=${TIME}${`,v1=${GOOD}`.repeat(40)}`,
])("malformed: %s", (header) => {
  expect(parsePartnerSignature(header)).toBeUndefined();
});

test("a signature is timely for five minutes before and after", () => {
  const signature = { time: TIME, digests: [] };
  const atMs = Number(TIME) * 1000;
  const found = [-300_001, -300_000, 300_000, 300_001].map((ms) => isTimely(signature, atMs + ms));
  expect(found).toEqual([false, true, true, false]);
});
