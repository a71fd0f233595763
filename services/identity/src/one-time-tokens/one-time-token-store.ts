// Contains every statement against `one_time_tokens`. Tokens of mail links are stored as hashes and work once.
import { bytesToUuid, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, type Queryable, type Transaction } from "@muster/db";
import { mailTokenHash, newMailToken } from "./mail-token.ts";

export type TokenPurpose =
  | "reset_password"
  | "unlock"
  | "change_email"
  | "undo_email"
  | "recover"
  | "cancel_recovery"
  | "delete_account";

export interface OneTimeToken {
  readonly purpose: TokenPurpose;
  readonly userId: UserId;
  /** The user's security version when the token was issued; callers compare it with the user's. */
  readonly securityVersion: number;
  /** Further values of the purpose, such as the new address. Never a secret. */
  readonly details: Readonly<Record<string, string>>;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
}

interface Row {
  readonly purpose: Buffer;
  readonly user_id: Buffer;
  readonly security_version: number;
  readonly details: string;
  readonly create_time_ms: number;
  readonly expire_time_ms: number;
}

/** Stores the hash of a new token and returns the text, which is stored nowhere. */
export async function issueOneTimeToken(trx: Transaction, token: OneTimeToken): Promise<string> {
  const { text, hash } = newMailToken();
  await trx("one_time_tokens").insert({
    token_hash: hash,
    purpose: Buffer.from(token.purpose),
    user_id: uuidToBytes(token.userId),
    security_version: token.securityVersion,
    details: JSON.stringify(token.details),
    create_time_ms: token.createTimeMs,
    expire_time_ms: token.expireTimeMs,
  });
  return text;
}

/** Reads a token, which stays valid. Undefined for an unknown or expired token, and for a wrong purpose. */
export async function findOneTimeToken(
  queryable: Queryable,
  purpose: TokenPurpose,
  text: string,
  nowMs: number,
): Promise<OneTimeToken | undefined> {
  const hash = mailTokenHash(text);
  if (hash === undefined) return undefined;
  const rows = await queryable("one_time_tokens")
    .select<Row[]>("purpose", "user_id", "security_version", "details", "create_time_ms", "expire_time_ms")
    .where("token_hash", hash);
  return valid(rows[0], purpose, nowMs);
}

/**
 * Uses a token up: of several concurrent calls exactly one succeeds. Undefined for an unknown, used or expired token,
 * and for a wrong purpose.
 */
export async function redeemOneTimeToken(
  trx: Transaction,
  purpose: TokenPurpose,
  text: string,
  nowMs: number,
): Promise<OneTimeToken | undefined> {
  const hash = mailTokenHash(text);
  if (hash === undefined) return undefined;
  const query = trx("one_time_tokens")
    .select<Row[]>("purpose", "user_id", "security_version", "details", "create_time_ms", "expire_time_ms")
    .where("token_hash", hash);
  const token = valid((await forUpdate(trx, query))[0], purpose, nowMs);
  if (token === undefined) return undefined;
  const deleted = await trx("one_time_tokens").where("token_hash", hash).delete();
  return deleted === 1 ? token : undefined;
}

/** The addresses in the details of the user's tokens: the former address, and the unconfirmed new address. */
export async function listTokenAddresses(trx: Transaction, userId: UserId): Promise<string[]> {
  const rows = await trx("one_time_tokens").where("user_id", uuidToBytes(userId)).pluck<string[]>("details");
  return rows
    .map((details) => (JSON.parse(details) as OneTimeToken["details"]).email)
    .filter((email) => email !== undefined);
}

/** Voids the user's tokens, of one purpose or of all. */
export async function deleteOneTimeTokens(
  trx: Transaction,
  userId: UserId,
  purpose?: TokenPurpose,
): Promise<void> {
  const query = trx("one_time_tokens").where("user_id", uuidToBytes(userId));
  if (purpose !== undefined) query.andWhere("purpose", Buffer.from(purpose));
  await query.delete();
}

/**
 * Voids the user's tokens after a change of the address or the password. Tokens that undo a change of the address stay,
 * because whoever took the account over could otherwise void them.
 */
export async function voidOneTimeTokens(trx: Transaction, userId: UserId): Promise<void> {
  await trx("one_time_tokens")
    .where("user_id", uuidToBytes(userId))
    .whereNot("purpose", Buffer.from("undo_email" satisfies TokenPurpose))
    .delete();
}

/** Deletes at most `limit` expired tokens; returns how many. */
export async function deleteExpiredOneTimeTokens(
  trx: Transaction,
  nowMs: number,
  limit: number,
): Promise<number> {
  const expired = await trx("one_time_tokens")
    .select<{ token_hash: Buffer }[]>("token_hash")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  if (expired.length === 0) return 0;
  return trx("one_time_tokens")
    .whereIn(
      "token_hash",
      expired.map(({ token_hash }) => token_hash),
    )
    .delete();
}

function valid(row: Row | undefined, purpose: TokenPurpose, nowMs: number): OneTimeToken | undefined {
  if (row === undefined || row.purpose.toString("utf8") !== purpose) return undefined;
  if (nowMs >= row.expire_time_ms) return undefined;
  return {
    purpose,
    userId: bytesToUuid(row.user_id),
    securityVersion: Number(row.security_version),
    details: JSON.parse(row.details) as Record<string, string>,
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms,
  };
}
