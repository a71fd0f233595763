// Contains every statement against `revocation_count`, a single row that counts all revocations.
import type { Revocation } from "@muster/authz";
import { assert } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

const ROW = { id: 0 };

/**
 * Counts revocations and returns the revocations with numbers, for {@link announceRevocations} after the commit. The row stays locked until the transaction ends, so that numbers have no gaps in commit order. Call this
 * last in a transaction, because all revocations of an installation wait for the row.
 */
export async function countRevocations(
  trx: Transaction,
  revocations: readonly Omit<Revocation, "count">[],
): Promise<Revocation[]> {
  if (revocations.length === 0) return [];
  const updated = await trx("revocation_count").where(ROW).increment("revocations", revocations.length);
  assert(updated === 1, "revocation_count has no row; its migration has not run");
  const last = await readRevocationCount(trx);
  return revocations.map((one, index) => ({ ...one, count: last - revocations.length + 1 + index }));
}

export async function readRevocationCount(queryable: Queryable): Promise<number> {
  const row = await queryable("revocation_count")
    .select("revocations")
    .where(ROW)
    .first<{ readonly revocations: number } | undefined>();
  return Number(row?.revocations ?? 0);
}
