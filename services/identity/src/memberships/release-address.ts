// Frees an address that belongs to a person without an account, for an account that proves to own it.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { voidOneTimeTokens } from "../one-time-tokens/one-time-token-store.ts";
import { isPlaceholder, keyWithoutAddress, type User } from "../users/user.ts";
import { lockUserByEmail, saveUser } from "../users/user-store.ts";
import { hasMembership } from "./membership-store.ts";

/** Whether the person has invitations only. An owner named by an operator is a member already. */
export async function isInvitedOnly(trx: Transaction, user: User): Promise<boolean> {
  return isPlaceholder(user) && !(await hasMembership(trx, user.id, { invited: false }));
}

/** Frees the address for `user`, after proof of ownership. EMAIL_TAKEN for the address of an account. */
export async function claimAddress(
  trx: Transaction,
  user: User,
  emailKey: string,
  nowMs: number,
): Promise<void> {
  const holder = await lockUserByEmail(trx, emailKey);
  if (holder === undefined || holder.id === user.id) return;
  if (!(await isInvitedOnly(trx, holder))) throw new AppError("EMAIL_TAKEN");
  await releaseAddress(trx, holder, nowMs);
}

/**
 * Invitations to the address stay unchanged, with the same member ids, because an organization must not learn what
 * happens to the account of an address. The account accepts the invitations by the tokens of the mails.
 */
async function releaseAddress(trx: Transaction, user: User, nowMs: number): Promise<void> {
  await saveUser(trx, {
    ...user,
    email: "",
    emailKey: keyWithoutAddress(user.id),
    securityVersion: user.securityVersion + 1,
    updateTimeMs: nowMs,
  });
  await voidOneTimeTokens(trx, user.id);
}
