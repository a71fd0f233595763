// Contains every statement against `magic_links`: the pending mails by which users sign in.
import { bytesToUuid, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

export interface MagicLink {
  readonly id: string;
  readonly tokenHash: Buffer;
  /** Undefined without a challenge, because then only the link works. */
  readonly codeHash: Buffer | undefined;
  readonly codeChallenge: Buffer | undefined;
  readonly wrongCodes: number;
  /** Undefined for an address without an account, for which the same row is written. */
  readonly userId: UserId | undefined;
  /** The user's security version when the link was made. */
  readonly securityVersion: number;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
}

interface Row {
  readonly id: Buffer;
  readonly token_hash: Buffer;
  readonly code_hash: Buffer | null;
  readonly code_challenge: Buffer | null;
  readonly wrong_codes: number;
  readonly user_id: Buffer | null;
  readonly security_version: number;
  readonly create_time_ms: number;
  readonly expire_time_ms: number;
}

const COLUMNS = [
  "id",
  "token_hash",
  "code_hash",
  "code_challenge",
  "wrong_codes",
  "user_id",
  "security_version",
  "create_time_ms",
  "expire_time_ms",
] as const;

export async function insertMagicLink(trx: Transaction, link: MagicLink): Promise<void> {
  await trx("magic_links").insert({
    id: uuidToBytes(link.id),
    token_hash: link.tokenHash,
    code_hash: link.codeHash ?? null,
    code_challenge: link.codeChallenge ?? null,
    wrong_codes: link.wrongCodes,
    user_id: link.userId === undefined ? null : uuidToBytes(link.userId),
    security_version: link.securityVersion,
    create_time_ms: link.createTimeMs,
    expire_time_ms: link.expireTimeMs,
  });
}

export async function findMagicLink(queryable: Queryable, id: string): Promise<MagicLink | undefined> {
  const rows = await queryable("magic_links").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromRow)[0];
}

export async function findMagicLinkByToken(
  queryable: Queryable,
  tokenHash: Buffer,
): Promise<MagicLink | undefined> {
  const rows = await queryable("magic_links").select<Row[]>(COLUMNS).where("token_hash", tokenHash);
  return rows.map(fromRow)[0];
}

/** The newest link of a challenge, expired or not. */
export async function findNewestMagicLink(
  queryable: Queryable,
  codeChallenge: Buffer,
): Promise<MagicLink | undefined> {
  const rows = await queryable("magic_links")
    .select<Row[]>(COLUMNS)
    .where("code_challenge", codeChallenge)
    .orderBy("create_time_ms", "desc")
    .orderBy("id", "desc")
    .limit(1);
  return rows.map(fromRow)[0];
}

export async function countWrongCode(trx: Transaction, id: string): Promise<void> {
  await trx("magic_links").where("id", uuidToBytes(id)).increment("wrong_codes", 1);
}

/** Uses a link up: of several concurrent calls one returns true. */
export async function deleteMagicLink(trx: Transaction, id: string): Promise<boolean> {
  return (await trx("magic_links").where("id", uuidToBytes(id)).delete()) === 1;
}

/** Deletes at most `limit` expired links; returns how many. */
export async function deleteExpiredMagicLinks(
  trx: Transaction,
  nowMs: number,
  limit: number,
): Promise<number> {
  const expired = await trx("magic_links")
    .select<Pick<Row, "id">[]>("id")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  const ids = expired.map(({ id }) => id).sort(Buffer.compare);
  return ids.length === 0 ? 0 : trx("magic_links").whereIn("id", ids).delete();
}

function fromRow(row: Row): MagicLink {
  return {
    id: bytesToUuid(row.id),
    tokenHash: row.token_hash,
    codeHash: row.code_hash ?? undefined,
    codeChallenge: row.code_challenge ?? undefined,
    wrongCodes: Number(row.wrong_codes),
    userId: row.user_id === null ? undefined : bytesToUuid(row.user_id),
    securityVersion: Number(row.security_version),
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms,
  };
}
