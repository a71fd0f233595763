// Reads what a user typed as a second factor: a TOTP code or a backup code. Pure.
import { createHmac, randomInt } from "node:crypto";
import type { UserId } from "@muster/core";

/** Crockford's alphabet: no letter that looks like a digit. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const BACKUP_CODE_CHARS = 10;
const BACKUP_CODES = 10;
const BACKUP_FORM = new RegExp(`^[${ALPHABET}]{${BACKUP_CODE_CHARS}}$`);
const TOTP_FORM = /^[0-9]{6}$/;
/** Blanks and dashes of every script, because phones replace plain ones. */
const SEPARATORS = /[\s\p{Pd}]/gu;

export type CodeEntry =
  | { readonly kind: "totp"; readonly code: string }
  | { readonly kind: "backup_code"; readonly code: string };

/** Undefined when the text has the form of neither. */
export function readCodeEntry(typed: string): CodeEntry | undefined {
  const code = typed.replace(SEPARATORS, "").toLowerCase();
  if (TOTP_FORM.test(code)) return { kind: "totp", code };
  const canonical = code.replaceAll("o", "0").replace(/[il]/g, "1");
  return BACKUP_FORM.test(canonical) ? { kind: "backup_code", code: canonical } : undefined;
}

/** Ten different codes of 50 random bits each, in the form that is shown to the user. */
export function newBackupCodes(): string[] {
  const codes = new Set<string>();
  while (codes.size < BACKUP_CODES) {
    const characters = Array.from({ length: BACKUP_CODE_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]);
    codes.add(`${characters.slice(0, 5).join("")}-${characters.slice(5).join("")}`);
  }
  return [...codes];
}

/**
 * Keyed hash of a backup code in canonical form. Without the key of the installation, a copy of the table allows
 * no search for codes, so a lookup by the hash reveals nothing by its duration.
 */
export function hashBackupCode(key: Uint8Array, userId: UserId, code: string): Buffer {
  return createHmac("sha256", key)
    .update(JSON.stringify([userId, code]))
    .digest();
}
