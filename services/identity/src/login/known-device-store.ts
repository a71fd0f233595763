// Contains every statement against `known_devices`: devices from which a user has signed in.
import { createHash, randomBytes } from "node:crypto";
import { bytesToUuid, type IdSource, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

export interface KnownDevice {
  readonly id: string;
  readonly userId: UserId;
  readonly tokenHash: Buffer;
}

interface Row {
  readonly id: Buffer;
  readonly user_id: Buffer;
  readonly token_hash: Buffer;
}

const TOKEN_BYTES = 32;
const LIFETIME_MS = 365 * 86_400_000;
/** Devices of a user; a new device replaces the device that signed in longest ago. */
const DEVICES_MAX = 50;

/** The same statement runs for any text, so that the time reveals no device. */
export async function findKnownDevice(
  queryable: Queryable,
  token: string | undefined,
  nowMs: number,
): Promise<KnownDevice | undefined> {
  const hash = hashOf(token ?? "");
  const rows = await queryable("known_devices")
    .select<Row[]>("id", "user_id", "token_hash")
    .where("token_hash", hash)
    .andWhere("expire_time_ms", ">", nowMs);
  return rows.map((row) => ({
    id: bytesToUuid(row.id),
    userId: bytesToUuid<UserId>(row.user_id),
    tokenHash: row.token_hash,
  }))[0];
}

export async function hasKnownDevice(queryable: Queryable, userId: UserId): Promise<boolean> {
  const rows = await queryable("known_devices").select("id").where("user_id", uuidToBytes(userId)).limit(1);
  return rows.length > 0;
}

/**
 * Replaces the token of a known device, or adds a device; returns the new token. The caller has locked the user. Of
 * several concurrent logins with a token, each after the first adds a device.
 */
export async function issueDeviceToken(
  trx: Transaction,
  { ids }: { readonly ids: IdSource },
  { userId, device, nowMs }: { userId: UserId; device: KnownDevice | undefined; nowMs: number },
): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const changes = { token_hash: hashOf(token), expire_time_ms: nowMs + LIFETIME_MS };
  const isReplaced =
    device !== undefined &&
    (await trx("known_devices")
      .where({ id: uuidToBytes(device.id), token_hash: device.tokenHash })
      .update(changes)) === 1;
  if (isReplaced) return token;
  await deleteOldest(trx, userId);
  await trx("known_devices").insert({
    id: uuidToBytes(ids.next(nowMs)),
    user_id: uuidToBytes(userId),
    create_time_ms: nowMs,
    ...changes,
  });
  return token;
}

/** Removes every device of a user, after a change of the password or the address. */
export async function deleteKnownDevices(trx: Transaction, userId: UserId): Promise<void> {
  await trx("known_devices").where("user_id", uuidToBytes(userId)).delete();
}

/** Deletes at most `limit` expired devices; returns how many. */
export async function deleteExpiredDevices(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const expired = await trx("known_devices")
    .select<Row[]>("id")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  const ids = expired.map(({ id }) => id).sort(Buffer.compare);
  if (ids.length > 0)
    await trx("known_devices").whereIn("id", ids).andWhere("expire_time_ms", "<=", nowMs).delete();
  return ids.length;
}

/** Leaves room for a further device. */
async function deleteOldest(trx: Transaction, userId: UserId): Promise<void> {
  const rows = await trx("known_devices")
    .select<Row[]>("id")
    .where("user_id", uuidToBytes(userId))
    .orderBy("expire_time_ms", "desc")
    .limit(2 * DEVICES_MAX);
  const ids = rows.slice(DEVICES_MAX - 1).map(({ id }) => id);
  if (ids.length > 0) await trx("known_devices").whereIn("id", ids).delete();
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
