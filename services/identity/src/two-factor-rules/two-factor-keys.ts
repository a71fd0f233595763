// Derives the keys of second factors from the key of identity.
import { createHmac } from "node:crypto";

export interface TwoFactorKeys {
  /** Seals the secrets of authenticators. */
  readonly totpSecrets: Uint8Array;
  /** Hashes backup codes. */
  readonly backupCodes: Uint8Array;
  /** Hashes the six-digit codes of mails. */
  readonly mailCodes: Uint8Array;
}

export function twoFactorKeys(key: Uint8Array): TwoFactorKeys {
  const derive = (use: string): Buffer =>
    createHmac("sha256", key).update(`muster.two-factor.${use}`).digest();
  return {
    totpSecrets: derive("totp-secrets"),
    backupCodes: derive("backup-codes"),
    mailCodes: derive("mail-codes"),
  };
}
