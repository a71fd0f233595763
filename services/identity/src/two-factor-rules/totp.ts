// Matches codes of authenticator apps (TOTP, RFC 6238: SHA-1, six digits, steps of 30 s). Pure.
import { randomBytes } from "node:crypto";
import { ScureBase32Plugin } from "otplib";
import { verifySync } from "otplib/functional";

const SECRET_BYTES = 20;
const STEP_SECONDS = 30;
/** Codes of so many steps before and after the current step are accepted, because clocks differ. */
const STEPS_TOLERATED = 1;
const CODE_FORM = /^[0-9]{6}$/;

/** 160 random bits. */
export function newTotpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** Base32 without padding, as authenticator apps take a secret. */
export function totpSecretText(secret: Uint8Array): string {
  return new ScureBase32Plugin().encode(secret, { padding: false });
}

/** Number of the time step of an instant. */
export function totpStep(nowMs: number): number {
  return Math.floor(nowMs / 1000 / STEP_SECONDS);
}

/**
 * The time step of a code; undefined for every other text. Callers compare the step with the last used step,
 * because the comparison of the library throws when the clock of a replica is ahead.
 */
export function matchTotpStep(secret: Uint8Array, code: string, nowMs: number): number | undefined {
  if (!CODE_FORM.test(code)) return undefined;
  const result = verifySync({
    secret,
    token: code,
    epoch: Math.floor(nowMs / 1000),
    epochTolerance: STEPS_TOLERATED * STEP_SECONDS,
  });
  return result.valid && "timeStep" in result ? result.timeStep : undefined;
}
