// Refuses passwords that are too short, too long or common, and the email address as a password.
import { readFileSync } from "node:fs";
import { canonicalEmail } from "@muster/core";
import { invalidField } from "@muster/errors";

const PASSWORD_BYTES_MIN = 12;
const PASSWORD_BYTES_MAX = 1_024;

let commonPasswords: ReadonlySet<string> | undefined;

/**
 * Throws FIELD_INVALID with the rule that a new password breaks. `field` is the path of the password in the
 * request, `address` the email address of the account.
 */
export function requireAcceptablePassword(password: string, field: string, address?: string): void {
  const bytes = Buffer.byteLength(password, "utf8");
  if (bytes < PASSWORD_BYTES_MIN) {
    throw invalidField(field, `must have at least ${PASSWORD_BYTES_MIN} bytes of UTF-8`);
  }
  requireBoundedPassword(password, field);
  // Upper case does not make a common password uncommon.
  if (isCommon(password.toLowerCase()))
    throw invalidField(field, "must not be one of the most common passwords");
  if (address !== undefined && canonicalEmail(password) === canonicalEmail(address)) {
    throw invalidField(field, "must not be the email address");
  }
}

/** Throws FIELD_INVALID for a password that no account can have, before it is hashed. */
export function requireBoundedPassword(password: string, field: string): void {
  if (Buffer.byteLength(password, "utf8") <= PASSWORD_BYTES_MAX) return;
  throw invalidField(field, "must have at most 1,024 bytes of UTF-8");
}

function isCommon(password: string): boolean {
  commonPasswords ??= readCommonPasswords();
  return commonPasswords.has(password);
}

function readCommonPasswords(): ReadonlySet<string> {
  const lines = readFileSync(new URL("./common-passwords.txt", import.meta.url), "utf8").split("\n");
  return new Set(lines.filter((line) => line !== "" && !line.startsWith("# ")));
}
