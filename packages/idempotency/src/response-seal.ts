// Seals kept responses: they may hold secrets that are shown once, so the ledger stores them encrypted.
// Request bodies and the callers' keys are stored only as keyed digests.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { assert } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Claim, KeptResponse } from "./ledger.ts";

const TOO_LARGE = "The response is too large to be kept for the Idempotency-Key; request less at once.";
const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
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
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#claimKey(claim), nonce).setAAD(boundTo(claim));
    const sealed = [
      cipher.update(metaLength),
      cipher.update(meta),
      cipher.update(response.body),
      cipher.final(),
    ];
    const bytes = Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), ...sealed]);
    // Thrown before the effect has committed, so that the effect rolls back.
    if (bytes.length > RESPONSE_BYTES_MAX) throw new AppError("TOO_LARGE", { message: TOO_LARGE });
    return bytes;
  }

  /** Throws for bytes that were not sealed for this claim by this installation. */
  open(claim: Claim, bytes: Buffer): KeptResponse {
    assert(bytes[0] === FORMAT, "a kept response of an unknown format");
    const nonce = bytes.subarray(1, 1 + NONCE_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", this.#claimKey(claim), nonce)
      .setAAD(boundTo(claim))
      .setAuthTag(bytes.subarray(1 + NONCE_BYTES, HEAD_BYTES));
    const plain = Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()]);
    const bodyStart = 4 + plain.readUInt32BE(0);
    const { ok, headers } = JSON.parse(plain.toString("utf8", 4, bodyStart)) as Omit<KeptResponse, "body">;
    return { ok, headers, body: plain.subarray(bodyStart) };
  }

  /** Each claim has a key of its own, so that the number of responses never exhausts the random nonces. */
  #claimKey(claim: Claim): Buffer {
    return createHmac("sha256", this.#encryptionKey).update(claim.token).digest();
  }
}

function derive(key: Uint8Array, use: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, new Uint8Array(0), `muster.idempotency.${use}`, KEY_BYTES));
}

/** Binds a response to its row: a response moved to another row does not open. */
function boundTo({ scope, key, token }: Claim): Buffer {
  return Buffer.from(JSON.stringify([scope, key, token]), "utf8");
}
