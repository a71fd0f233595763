// Holds every statement against `idempotency_keys`, a table in the schema of each service.
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { forUpdate, type Queryable, type Transaction } from "@muster/db";
import type { Claim } from "./ledger.ts";

const TABLE = "idempotency_keys";

/** The content of a row. */
export interface KeyRecord {
  readonly token: string;
  readonly fingerprint: Buffer;
  readonly leaseUntilMs: number;
  readonly expireTimeMs: number;
  /** The sealed response, once saved. */
  readonly response: Buffer | undefined;
}

export type NewClaim = Claim & Omit<KeyRecord, "response">;

interface Row {
  readonly token: Buffer;
  readonly fingerprint: Buffer;
  readonly lease_until_ms: number;
  readonly expire_time_ms: number;
  readonly response: Buffer | null;
}

export class IdempotencyStore {
  async find(queryable: Queryable, scope: string, key: string): Promise<KeyRecord | undefined> {
    const row = await queryable(TABLE)
      .select("token", "fingerprint", "lease_until_ms", "expire_time_ms", "response")
      .where(primaryKey(scope, key))
      .first<Row | undefined>();
    if (row === undefined) return undefined;
    return {
      token: bytesToUuid(row.token),
      fingerprint: row.fingerprint,
      leaseUntilMs: row.lease_until_ms,
      expireTimeMs: row.expire_time_ms,
      response: row.response ?? undefined,
    };
  }

  /** Rejects with a unique violation when the key exists. */
  async insert(trx: Transaction, claim: NewClaim): Promise<void> {
    await trx(TABLE).insert({ ...primaryKey(claim.scope, claim.key), ...columns(claim) });
  }

  /** Replaces a record read before, unless it has changed since. */
  async replace(trx: Transaction, read: KeyRecord, claim: NewClaim): Promise<boolean> {
    const query = trx(TABLE)
      .where({ ...primaryKey(claim.scope, claim.key), token: uuidToBytes(read.token) })
      .update(columns(claim));
    if (read.response === undefined) query.whereNull("response");
    return (await query) === 1;
  }

  /** Saves the response only while the claim stands: a takeover changes the token. */
  async keep(trx: Transaction, claim: Claim, response: Buffer): Promise<boolean> {
    return (await activeClaim(trx, claim).update({ response })) === 1;
  }

  /** Reads and locks the kept response of a claim that may have lost its key since. */
  async lockResponse(trx: Transaction, claim: Claim): Promise<Buffer | undefined> {
    const query = trx(TABLE)
      .select<{ response: Buffer | null }[]>("response")
      .where({ ...primaryKey(claim.scope, claim.key), token: uuidToBytes(claim.token) });
    const [row] = await forUpdate(trx, query);
    return row?.response ?? undefined;
  }

  async replaceResponse(trx: Transaction, claim: Claim, response: Buffer): Promise<void> {
    await trx(TABLE)
      .where({ ...primaryKey(claim.scope, claim.key), token: uuidToBytes(claim.token) })
      .update({ response });
  }

  async remove(trx: Transaction, claim: Claim): Promise<void> {
    await activeClaim(trx, claim).delete();
  }

  /** Deletes up to `limit` records whose scope begins with `scope`, which ends with a slash. */
  async removeBelow(trx: Transaction, scope: string, limit: number): Promise<number> {
    // "0" follows "/" in the order of bytes.
    const end = Buffer.from(scope.replace(/\/$/, "0"), "utf8");
    const rows = await trx(TABLE)
      .select<{ scope: Buffer; idempotency_key: Buffer }[]>("scope", "idempotency_key")
      .where("scope", ">=", Buffer.from(scope, "utf8"))
      .andWhere("scope", "<", end)
      .orderBy(["scope", "idempotency_key"])
      .limit(limit);
    for (const row of rows) await trx(TABLE).where(row).delete();
    return rows.length;
  }

  /** Deletes up to `limit` records that had expired at `nowMs`. Resolves to the number of records found. */
  async removeExpired(trx: Transaction, nowMs: number, limit: number): Promise<number> {
    const rows = await trx(TABLE)
      .select<{ scope: Buffer; idempotency_key: Buffer }[]>("scope", "idempotency_key")
      .where("expire_time_ms", "<=", nowMs)
      .orderBy(["expire_time_ms", "scope", "idempotency_key"])
      .limit(limit);
    // In the order of the primary key, so that two workers do not deadlock.
    rows.sort((a, b) => a.scope.compare(b.scope) || a.idempotency_key.compare(b.idempotency_key));
    for (const row of rows) {
      // Checked again, because a new request may have claimed the key since the read.
      await trx(TABLE)
        .where({ scope: row.scope, idempotency_key: row.idempotency_key })
        .andWhere("expire_time_ms", "<=", nowMs)
        .delete();
    }
    return rows.length;
  }
}

function activeClaim(trx: Transaction, claim: Claim) {
  return trx(TABLE)
    .where({ ...primaryKey(claim.scope, claim.key), token: uuidToBytes(claim.token) })
    .whereNull("response");
}

function primaryKey(scope: string, key: string): { scope: Buffer; idempotency_key: Buffer } {
  return { scope: Buffer.from(scope, "utf8"), idempotency_key: Buffer.from(key, "utf8") };
}

function columns(claim: NewClaim) {
  return {
    token: uuidToBytes(claim.token),
    fingerprint: claim.fingerprint,
    lease_until_ms: claim.leaseUntilMs,
    expire_time_ms: claim.expireTimeMs,
    response: null,
  };
}
