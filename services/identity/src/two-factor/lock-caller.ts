// Locks the account of the signed-in caller.
import type { UserPrincipal } from "@muster/authz";
import { assert } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { User } from "../users/user.ts";
import { lockUser } from "../users/user-store.ts";

/** The caller of a method for signed-in users; the dispatcher has refused every other caller. */
export function callerOf({ principal }: Pick<CallContext, "principal">): UserPrincipal {
  assert(principal.kind === "user", "a method of the person is called by a user");
  return principal;
}

/** SESSION_ENDED for an account that was deleted meanwhile. */
export async function lockCaller(trx: Transaction, { id }: UserPrincipal): Promise<User> {
  const user = await lockUser(trx, id);
  if (user === undefined) throw new AppError("SESSION_ENDED");
  return user;
}
