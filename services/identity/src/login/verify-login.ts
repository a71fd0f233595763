// Verifies the address and the password of a login. Every outcome but the right password of a usable account costs the
// same statements and one hash.
import type { LoginRequest } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { canonicalEmail } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type ClientInfo, clientKeyOf } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { findNewestRegistration } from "../registration/registration-store.ts";
import { type LoginAttempt, loginLocked } from "../throttling/login-throttle.ts";
import type { User } from "../users/user.ts";
import { findUserByEmail, lockUser, setPasswordHash } from "../users/user-store.ts";
import { findKnownDevice, type KnownDevice } from "./known-device-store.ts";

/** An account whose password was right. */
export interface VerifiedLogin {
  readonly user: User;
  readonly device: KnownDevice | undefined;
  readonly attempt: LoginAttempt;
  /** A hash with the current parameters, when the stored hash has others. */
  readonly newHash: string | undefined;
}

/** What is stored about an address. */
interface Account {
  readonly user: User | undefined;
  readonly passwordHash: string | undefined;
  readonly device: KnownDevice | undefined;
}

export async function verifyLogin(
  deps: IdentityDeps,
  { email, password, deviceToken }: Pick<LoginRequest, "email" | "password" | "deviceToken">,
  client: ClientInfo,
): Promise<VerifiedLogin> {
  const { database, passwords, loginThrottle } = deps;
  const emailKey = canonicalEmail(email);
  const { user, device, passwordHash } = await findAccount(deps, emailKey, deviceToken);
  const attempt = { emailKey, client: clientKeyOf(client.address), deviceId: device?.id, userId: user?.id };
  const lockedMs = await loginThrottle.lockedMs(database.reader, attempt);
  const isRight = await passwords.verify(lockedMs > 0 ? undefined : passwordHash, password);
  if (lockedMs > 0) return refuse(deps, attempt, loginLocked(lockedMs));
  if (!isRight || passwordHash === undefined) return refuse(deps, attempt, new AppError("LOGIN_FAILED"));
  if (user?.isEmailVerified !== true) return refuse(deps, attempt, new AppError("EMAIL_NOT_VERIFIED"));
  if (user.isPasswordResetRequired) return refuse(deps, attempt, new AppError("PASSWORD_RESET_REQUIRED"));
  const newHash = passwords.needsRehash(passwordHash) ? await passwords.hash(password) : undefined;
  return { user, device, attempt, newHash };
}

/** Locks the account. Throws LOGIN_FAILED when the password or the address was changed during the verification. */
export async function lockVerified(
  { loginThrottle }: Pick<IdentityDeps, "loginThrottle">,
  trx: Transaction,
  { user: verified, attempt, newHash }: VerifiedLogin,
): Promise<User> {
  const user = await lockUser(trx, verified.id);
  const isSame = user?.passwordHash === verified.passwordHash && user?.emailKey === verified.emailKey;
  if (user === undefined || !isSame) throw new AppError("LOGIN_FAILED");
  await loginThrottle.accept(trx, attempt);
  if (newHash !== undefined) await setPasswordHash(trx, user.id, newHash);
  return user;
}

async function findAccount(
  { database: { reader }, clock }: IdentityDeps,
  emailKey: string,
  deviceToken: string | undefined,
): Promise<Account> {
  const nowMs = clock.nowMs();
  const found = await findKnownDevice(reader, deviceToken, nowMs);
  const user = await findUserByEmail(reader, emailKey);
  const pending = await findNewestRegistration(reader, emailKey, nowMs);
  const isPending = user?.isEmailVerified !== true;
  const passwordHash = user?.passwordHash ?? (isPending ? pending?.passwordHash : undefined);
  return { user, passwordHash, device: found?.userId === user?.id ? found : undefined };
}

/** A locked attempt does not count; neither does a right password. */
async function refuse(
  { loginThrottle }: IdentityDeps,
  attempt: LoginAttempt,
  refusal: AppError,
): Promise<never> {
  const isCounted = refusal.reason === "LOGIN_FAILED";
  const lockedMs = await loginThrottle.recordFailure(attempt, { isCounted });
  throw lockedMs > 0 ? loginLocked(lockedMs) : refusal;
}
