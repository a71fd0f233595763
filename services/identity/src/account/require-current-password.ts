// Checks the current password of the caller, and counts wrong ones.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requireBoundedPassword } from "../passwords/acceptable-password.ts";
import { checkPassword } from "../throttling/check-password.ts";
import type { User } from "../users/user.ts";
import { findUser } from "../users/user-store.ts";

/** Returns the user with this password. CREDENTIALS_INVALID for another password. */
export async function requireCurrentPassword(
  deps: IdentityDeps,
  { user: { id }, client }: Pick<CallContext, "user" | "client">,
  password: string,
): Promise<User> {
  requireBoundedPassword(password, "current_password");
  const user = await findUser(deps.database.reader, id);
  if (user === undefined) throw new AppError("SESSION_ENDED");
  await checkPassword(deps, { user, password, client });
  return user;
}
