// Holds every statement against `repeated_calls`: the seed and the time of receipt of calls with an
// Idempotency-Key whose events have no ids of the client.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

/** What a repetition needs to give the events of a call the same ids. */
export interface CallSeed {
  readonly seed: Buffer;
  readonly receivedMs: number;
}

export interface CallKey {
  readonly organizationId: OrganizationId;
  /** A keyed digest of the caller, the Idempotency-Key and the request. */
  readonly digest: Buffer;
}

const TABLE = "repeated_calls";
const COLUMNS = ["organization_id", "call_digest", "seed", "received_ms"];
const KEY = ["organization_id", "call_digest"];
/** Expired rows that one call deletes. */
const DELETED_MAX = 20;

/** Returns the seed of a call that was received after `sinceMs`. */
export async function findCallSeed(
  db: Queryable,
  key: CallKey,
  sinceMs: number,
): Promise<CallSeed | undefined> {
  const row = await db(TABLE)
    .select("seed", "received_ms")
    .where(primaryKey(key))
    .where("received_ms", ">", sinceMs)
    .first<{ seed: Buffer; received_ms: number } | undefined>();
  return row && { seed: row.seed, receivedMs: Number(row.received_ms) };
}

/** Saves the seed unless the call has one, and returns the stored seed. */
export async function saveCallSeed(
  trx: Transaction,
  key: CallKey,
  { seed, receivedMs }: CallSeed,
  sinceMs: number,
): Promise<CallSeed | undefined> {
  await trx(TABLE).where(primaryKey(key)).where("received_ms", "<=", sinceMs).delete();
  const row = [uuidToBytes(key.organizationId), key.digest, seed, receivedMs];
  await insertRows(trx, TABLE, COLUMNS, [row], "keep", KEY);
  return findCallSeed(trx, key, sinceMs);
}

/** Deletes some of the calls that were received before. */
export async function deleteCallSeeds(db: Queryable, untilMs: number): Promise<void> {
  const rows = await db(TABLE)
    .select<{ organization_id: Buffer; call_digest: Buffer }[]>("organization_id", "call_digest")
    .where("received_ms", "<=", untilMs)
    .orderBy(["received_ms", ...KEY])
    .limit(DELETED_MAX);
  for (const row of rows) await db(TABLE).where(row).where("received_ms", "<=", untilMs).delete();
}

function primaryKey({ organizationId, digest }: CallKey) {
  return { organization_id: uuidToBytes(organizationId), call_digest: digest };
}
