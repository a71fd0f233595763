// Creates, recognizes and hashes the keys of provisioning partners. Pure besides randomness.
import { createHash, randomBytes } from "node:crypto";

const PARTNER_KEY = /^mp_live_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;

/** A new key of 256 random bits. It names the partner; the secret signs. */
export function newPartnerKey(): string {
  return `mp_live_${randomBytes(SECRET_BYTES).toString("base64url")}`;
}

/** A new secret of 256 random bits. The text itself is the key of the HMAC. */
export function newPartnerSecret(): string {
  return `mps_${randomBytes(SECRET_BYTES).toString("base64url")}`;
}

/** Undefined for a text that is no key of a partner. */
export function partnerKeyHash(text: string): Buffer | undefined {
  return PARTNER_KEY.test(text) ? createHash("sha256").update(text, "utf8").digest() : undefined;
}
