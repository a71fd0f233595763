// The installation's one secret, told apart by use, so that a key leaked from one use opens no other.
import { hkdfSync } from "node:crypto";

const KEY_BYTES = 32;
const SALT = "muster";

/** The same bytes in every process of the installation. Invariant: a use's name never changes. */
export function deriveKey(secret: Uint8Array, use: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, SALT, use, KEY_BYTES));
}
