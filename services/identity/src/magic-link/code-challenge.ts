// Compares code verifiers with challenges (RFC 7636, method S256). Pure.
import { createHash, timingSafeEqual } from "node:crypto";
import { invalidField } from "@muster/errors";

const CHALLENGE_BYTES = 32;
const VERIFIER_FORM = /^[A-Za-z0-9\-._~]{43,128}$/;

/** The bytes of a challenge that a client sends. */
export function readCodeChallenge(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  // Decoding ignores foreign characters and unused bits, so only the text of the same bytes is accepted.
  if (bytes.length !== CHALLENGE_BYTES || bytes.toString("base64url") !== text) {
    throw invalidField(
      "code_challenge",
      "must be the SHA-256 of a code verifier in base64url, 43 characters",
    );
  }
  return bytes;
}

/** Undefined for a text that is no verifier. */
export function challengeOf(verifier: string): Buffer | undefined {
  return VERIFIER_FORM.test(verifier) ? createHash("sha256").update(verifier).digest() : undefined;
}

/**
 * Whether the verifier may redeem a link with this challenge. A link without a challenge takes no verifier: a client
 * that sends a verifier has sent a challenge, which somebody has removed from the request.
 */
export function isVerifierOf(verifier: string | undefined, challenge: Uint8Array | undefined): boolean {
  if (challenge === undefined) return verifier === undefined;
  const own = verifier === undefined ? undefined : challengeOf(verifier);
  return own !== undefined && timingSafeEqual(own, challenge);
}
