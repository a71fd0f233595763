// Checks the current password of the caller. A wrong one counts as a failed login from the caller's client.
import { AppError } from "@muster/errors";
import { type CallContext, clientKeyOf } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { loginLocked } from "../throttling/login-throttle.ts";
import type { User } from "../users/user.ts";
import { findUser } from "../users/user-store.ts";

/** Returns the user with this password. CREDENTIALS_INVALID for another password. */
export async function requireCurrentPassword(
  { database, loginThrottle, passwords }: IdentityDeps,
  context: CallContext,
  password: string,
): Promise<User> {
  const user = await findUser(database.reader, context.user.id);
  if (user === undefined) throw new AppError("SESSION_ENDED");
  const attempt = {
    emailKey: user.emailKey,
    client: clientKeyOf(context.client.address),
    deviceId: undefined,
    userId: user.id,
  };
  const lockedMs = await loginThrottle.lockedMs(database.reader, attempt);
  if (lockedMs > 0) throw loginLocked(lockedMs);
  if (await passwords.verify(user.passwordHash, password)) {
    await database.transaction((trx) => loginThrottle.accept(trx, attempt));
    return user;
  }
  const lockedMeanwhileMs = await loginThrottle.recordFailure(attempt);
  throw lockedMeanwhileMs > 0 ? loginLocked(lockedMeanwhileMs) : new AppError("CREDENTIALS_INVALID");
}
