// Seals bytes that are stored encrypted: AES-256-GCM, bound to the row that holds them.
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { assert } from "../assert.ts";

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
/** Without a length, Node accepts shortened tags, which are easier to forge. */
const OPTIONS = { authTagLength: TAG_BYTES };
const KEY_BYTES = 32;

/** The key of one row, so that the number of rows never exhausts the random nonces of a key. */
export function rowKey(key: Uint8Array, row: string): Buffer {
  return createHmac("sha256", key).update(row).digest();
}

/** Encrypts the parts as one text. `boundTo` identifies the row: sealed bytes of another row do not open. */
export function sealBytes(key: Uint8Array, parts: readonly Uint8Array[], boundTo: string): Buffer {
  assert(key.length === KEY_BYTES, "a key of a seal must have 32 bytes");
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, OPTIONS).setAAD(Buffer.from(boundTo, "utf8"));
  const sealed = [...parts.map((part) => cipher.update(part)), cipher.final()];
  return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), ...sealed]);
}

/** Throws for bytes that were not sealed with this key for this row. */
export function openSealed(key: Uint8Array, bytes: Uint8Array, boundTo: string): Buffer {
  assert(bytes[0] === FORMAT, "sealed bytes have an unknown format");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(1, 1 + NONCE_BYTES), OPTIONS)
    .setAAD(Buffer.from(boundTo, "utf8"))
    .setAuthTag(bytes.subarray(1 + NONCE_BYTES, HEAD_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()]);
}
