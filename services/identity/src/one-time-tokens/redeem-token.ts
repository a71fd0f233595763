// Redeems the token of a mail, and locks the user of the token.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { User } from "../users/user.ts";
import { lockUser } from "../users/user-store.ts";
import {
  findOneTimeToken,
  type OneTimeToken,
  redeemOneTimeToken,
  type TokenPurpose,
} from "./one-time-token-store.ts";

export interface RedeemedToken {
  readonly token: OneTimeToken;
  /** Locked by the transaction. */
  readonly user: User;
}

/**
 * TOKEN_INVALID for a token that is unknown, used or expired. A change of the address or the password voids every
 * token but those that undo a change of the address.
 */
export async function redeemToken(
  trx: Transaction,
  purpose: TokenPurpose,
  text: string,
  nowMs: number,
): Promise<RedeemedToken> {
  const found = await findOneTimeToken(trx, purpose, text, nowMs);
  // The user first, as everywhere, so that no two calls wait for each other.
  const user = found && (await lockUser(trx, found.userId));
  const token = user && (await redeemOneTimeToken(trx, purpose, text, nowMs));
  if (token === undefined || user === undefined) throw new AppError("TOKEN_INVALID");
  const isCurrent = token.securityVersion === user.securityVersion;
  if (!isCurrent && purpose !== "undo_email") throw new AppError("TOKEN_INVALID");
  return { token, user };
}
