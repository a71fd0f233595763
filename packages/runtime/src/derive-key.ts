// Derives a key per use from the installation's secret, so that a leaked key of one use does not expose
// another.
import { hkdfSync } from "node:crypto";

const KEY_BYTES = 32;
const SALT = "muster";

/** The same bytes in every process of the installation. Invariant: the name of a use never changes. */
export function deriveKey(secret: Uint8Array, use: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, SALT, use, KEY_BYTES));
}
