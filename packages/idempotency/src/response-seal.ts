// Seals kept responses: they may hold secrets that are shown once, so the ledger stores them encrypted.
// Request bodies and the callers' keys are stored only as keyed digests.
import { createHmac, hkdfSync } from "node:crypto";
import { assert, openSealed, rowKey, sealBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Claim, KeptResponse } from "./ledger.ts";

const TOO_LARGE = "The response is too large to be kept for the Idempotency-Key; request less at once.";
const KEY_BYTES = 32;
/**
 * Largest sealed response. A statement takes two characters per byte, and MariaDB accepts packets of 16 MiB
 * by default.
 */
export const RESPONSE_BYTES_MAX = 7 * 1024 * 1024;

export class ResponseSeal {
  readonly #fingerprintKey: Buffer;
  readonly #encryptionKey: Buffer;
  readonly #nameKey: Buffer;

  /** `key` is the installation's key for idempotency, of at least 32 bytes. */
  constructor(key: Uint8Array) {
    assert(key.length >= KEY_BYTES, "the idempotency key must have at least 32 bytes");
    this.#fingerprintKey = derive(key, "fingerprint");
    this.#encryptionKey = derive(key, "response");
    this.#nameKey = derive(key, "key");
  }

  /** Returns the keyed digest that stands for a caller's key in the ledger. */
  nameOf(scope: string, key: string): string {
    return createHmac("sha256", this.#nameKey)
      .update(JSON.stringify([scope, key]))
      .digest("base64url");
  }

  fingerprint(canonicalBody: Uint8Array): Buffer {
    return createHmac("sha256", this.#fingerprintKey).update(canonicalBody).digest();
  }

  seal(claim: Claim, response: KeptResponse): Buffer {
    const meta = Buffer.from(JSON.stringify({ ok: response.ok, headers: response.headers }), "utf8");
    const metaLength = Buffer.alloc(4);
    metaLength.writeUInt32BE(meta.length);
    const parts = [metaLength, meta, response.body];
    const bytes = sealBytes(rowKey(this.#encryptionKey, claim.token), parts, rowOf(claim));
    // Thrown before the effect has committed, so that the effect rolls back.
    if (bytes.length > RESPONSE_BYTES_MAX) throw new AppError("TOO_LARGE", { message: TOO_LARGE });
    return bytes;
  }

  /** Throws for bytes that were not sealed for this claim by this installation. */
  open(claim: Claim, bytes: Buffer): KeptResponse {
    const plain = openSealed(rowKey(this.#encryptionKey, claim.token), bytes, rowOf(claim));
    const bodyStart = 4 + plain.readUInt32BE(0);
    const { ok, headers } = JSON.parse(plain.toString("utf8", 4, bodyStart)) as Omit<KeptResponse, "body">;
    return { ok, headers, body: plain.subarray(bodyStart) };
  }
}

function derive(key: Uint8Array, use: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, new Uint8Array(0), `muster.idempotency.${use}`, KEY_BYTES));
}

/** Identifies the row of a response: a response moved to another row does not open. */
function rowOf({ scope, key, token }: Claim): string {
  return JSON.stringify([scope, key, token]);
}
