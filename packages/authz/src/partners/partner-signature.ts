// Reads and checks the signatures of provisioning partners. Pure.
import { createHmac, timingSafeEqual } from "node:crypto";

/** `t=<unix>,v1=<hex>`; further `v1` let a partner replace the secret. */
export interface PartnerSignature {
  /** As sent, because the digits are part of the signed bytes. */
  readonly time: string;
  /** At least one, of 32 bytes each. */
  readonly digests: readonly Buffer[];
}

/** A signature is valid for so long before and after its time. */
const SIGNATURE_TOLERANCE_MS = 5 * 60_000;
const SIGNATURE_BYTES_MAX = 2048;
const TIME = /^(?:0|[1-9]\d{0,11})$/;
const DIGEST = /^[0-9a-f]{64}$/i;

/** Undefined for a header that is not exactly one `t` and one or more `v1`. */
export function parsePartnerSignature(header: string): PartnerSignature | undefined {
  if (header.length > SIGNATURE_BYTES_MAX) return undefined;
  let time: string | undefined;
  const digests: Buffer[] = [];
  for (const part of header.split(",")) {
    const [name, value = "", ...more] = part.trim().split("=");
    if (more.length > 0) return undefined;
    if (name === "t" && time === undefined && TIME.test(value)) time = value;
    else if (name === "v1" && DIGEST.test(value)) digests.push(Buffer.from(value, "hex"));
    else return undefined;
  }
  return time === undefined || digests.length === 0 ? undefined : { time, digests };
}

/** Whether the time of the signature is near enough to `nowMs`. */
export function isTimely({ time }: PartnerSignature, nowMs: number): boolean {
  return Math.abs(nowMs - Number(time) * 1000) <= SIGNATURE_TOLERANCE_MS;
}

/** Whether one of the digests is the HMAC of the time and the body. Takes the same time for every digest. */
export function isSignedBy(secret: string, { time, digests }: PartnerSignature, body: Uint8Array): boolean {
  const expected = partnerDigest(secret, time, body);
  return digests.map((digest) => timingSafeEqual(digest, expected)).includes(true);
}

/** The HMAC-SHA256 of `<time>.<body>`. */
export function partnerDigest(secret: string, time: string, body: Uint8Array): Buffer {
  return createHmac("sha256", secret).update(`${time}.`).update(body).digest();
}
