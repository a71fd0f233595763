// Contains every statement against `login_challenges`: logins that wait for a code of the second factor.
import { bytesToUuid, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

/** A device from which the user has signed in before, and the hash of its token. */
export interface DeviceOfLogin {
  readonly id: string;
  readonly tokenHash: Buffer;
}

/** How the first step of the login was made. */
export type LoginMethod = "password" | "magic_link";

export interface Challenge {
  readonly hash: Buffer;
  readonly userId: UserId;
  readonly method: LoginMethod;
  /** The user's security version when the challenge was issued. */
  readonly securityVersion: number;
  /** A lock of the second factor ended the challenge. */
  readonly isEnded: boolean;
  readonly device: DeviceOfLogin | undefined;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
}

interface Row {
  readonly challenge_hash: Buffer;
  readonly user_id: Buffer;
  readonly method: Buffer;
  readonly security_version: number;
  readonly is_ended: number;
  readonly device_id: Buffer | null;
  readonly device_token_hash: Buffer | null;
  readonly create_time_ms: number;
  readonly expire_time_ms: number;
}

/** Challenges of one user at once; a new one replaces the oldest. */
const CHALLENGES_MAX = 20;

/** The caller has locked the user. */
export async function insertChallenge(trx: Transaction, challenge: Challenge): Promise<void> {
  await deleteOldest(trx, challenge.userId);
  await trx("login_challenges").insert({
    challenge_hash: challenge.hash,
    user_id: uuidToBytes(challenge.userId),
    method: Buffer.from(challenge.method),
    security_version: challenge.securityVersion,
    is_ended: challenge.isEnded ? 1 : 0,
    device_id: challenge.device === undefined ? null : uuidToBytes(challenge.device.id),
    device_token_hash: challenge.device?.tokenHash ?? null,
    create_time_ms: challenge.createTimeMs,
    expire_time_ms: challenge.expireTimeMs,
  });
}

async function deleteOldest(trx: Transaction, userId: UserId): Promise<void> {
  const rows = await trx("login_challenges")
    .select<Pick<Row, "challenge_hash">[]>("challenge_hash")
    .where("user_id", uuidToBytes(userId))
    .orderBy("create_time_ms", "desc")
    .limit(2 * CHALLENGES_MAX);
  const oldest = rows.slice(CHALLENGES_MAX - 1).map(({ challenge_hash }) => challenge_hash);
  if (oldest.length > 0) await trx("login_challenges").whereIn("challenge_hash", oldest).delete();
}

export async function findChallenge(queryable: Queryable, hash: Buffer): Promise<Challenge | undefined> {
  const rows = await queryable("login_challenges")
    .select<Row[]>(
      "challenge_hash",
      "user_id",
      "method",
      "security_version",
      "is_ended",
      "device_id",
      "device_token_hash",
      "create_time_ms",
      "expire_time_ms",
    )
    .where("challenge_hash", hash);
  return rows.map((row) => ({
    hash: row.challenge_hash,
    userId: bytesToUuid<UserId>(row.user_id),
    method: row.method.toString("utf8") as LoginMethod,
    securityVersion: Number(row.security_version),
    isEnded: row.is_ended !== 0,
    device: deviceOf(row),
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms,
  }))[0];
}

/** Uses a challenge up: of several concurrent calls one returns true. */
export async function deleteChallenge(trx: Transaction, hash: Buffer): Promise<boolean> {
  return (await trx("login_challenges").where("challenge_hash", hash).delete()) === 1;
}

export async function endChallenges(trx: Transaction, userId: UserId): Promise<void> {
  await trx("login_challenges").where("user_id", uuidToBytes(userId)).update({ is_ended: 1 });
}

/** Deletes at most `limit` expired challenges; returns how many. */
export async function deleteExpiredChallenges(
  trx: Transaction,
  nowMs: number,
  limit: number,
): Promise<number> {
  const expired = await trx("login_challenges")
    .select<Pick<Row, "challenge_hash">[]>("challenge_hash")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  const hashes = expired.map(({ challenge_hash }) => challenge_hash).sort(Buffer.compare);
  return hashes.length === 0 ? 0 : trx("login_challenges").whereIn("challenge_hash", hashes).delete();
}

function deviceOf({ device_id, device_token_hash }: Row): DeviceOfLogin | undefined {
  if (device_id === null || device_token_hash === null) return undefined;
  return { id: bytesToUuid(device_id), tokenHash: device_token_hash };
}
