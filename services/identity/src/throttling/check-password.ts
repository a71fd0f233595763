// Checks the password of a signed-in user, and counts wrong ones.
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import { type ClientInfo, clientKeyOf } from "@muster/rpc";
import type { Passwords } from "../passwords/passwords.ts";
import type { User } from "../users/user.ts";
import { type LoginThrottle, loginLocked } from "./login-throttle.ts";

export interface PasswordCheckDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly loginThrottle: LoginThrottle;
}

/**
 * Throws CREDENTIALS_INVALID for a wrong password, LOGIN_LOCKED after too many. Wrong passwords of all sessions count
 * together, because a thief of an access token opens further sessions. Failed logins do not count here, so that no
 * stranger locks the account. The caller locks the user afterwards, and compares the hash with the hash that was checked.
 */
export async function checkPassword(
  { database, passwords, loginThrottle }: PasswordCheckDeps,
  entered: {
    readonly user: Pick<User, "id" | "emailKey" | "passwordHash">;
    readonly password: string;
    readonly client: ClientInfo;
  },
): Promise<void> {
  const { user, password, client } = entered;
  const attempt = {
    emailKey: user.emailKey,
    client: clientKeyOf(client.address),
    deviceId: user.id,
    userId: user.id,
  };
  const lockedMs = await loginThrottle.lockedMs(database.reader, attempt);
  if (lockedMs > 0) throw loginLocked(lockedMs);
  if (await passwords.verify(user.passwordHash, password)) {
    return database.transaction((trx) => loginThrottle.accept(trx, attempt));
  }
  const lockedMeanwhileMs = await loginThrottle.recordFailure(attempt);
  throw lockedMeanwhileMs > 0 ? loginLocked(lockedMeanwhileMs) : new AppError("CREDENTIALS_INVALID");
}
