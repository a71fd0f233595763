// Issues and checks challenges: a login whose first step succeeded, and that needs a code of the second factor.
import { createHash, randomBytes } from "node:crypto";
import type { Queryable, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { User } from "../users/user.ts";
import {
  type Challenge,
  type DeviceOfLogin,
  findChallenge,
  insertChallenge,
  type LoginMethod,
} from "./challenge-store.ts";

const CHALLENGE_BYTES = 32;
const CHALLENGE_FORM = /^[A-Za-z0-9_-]{43}$/;
const LIFETIME_MS = 10 * 60_000;

/**
 * Stores a challenge for a locked user and returns the error that carries it: the caller commits, then throws.
 * Codes count per account, so that further challenges give no further guesses.
 */
export async function issueChallenge(
  trx: Transaction,
  user: Pick<User, "id" | "securityVersion">,
  method: LoginMethod,
  nowMs: number,
  device?: DeviceOfLogin,
): Promise<AppError> {
  const text = randomBytes(CHALLENGE_BYTES).toString("base64url");
  await insertChallenge(trx, {
    hash: hashOf(text),
    userId: user.id,
    method,
    securityVersion: user.securityVersion,
    isEnded: false,
    device,
    createTimeMs: nowMs,
    expireTimeMs: nowMs + LIFETIME_MS,
  });
  return new AppError("TWO_FACTOR_REQUIRED", { details: { challenge: text } });
}

/** Undefined for a challenge that is unknown, used or expired. A challenge that a lock has ended is returned. */
export async function readChallenge(
  queryable: Queryable,
  text: string,
  nowMs: number,
): Promise<Challenge | undefined> {
  if (!CHALLENGE_FORM.test(text)) return undefined;
  const challenge = await findChallenge(queryable, hashOf(text));
  return challenge !== undefined && nowMs < challenge.expireTimeMs ? challenge : undefined;
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
