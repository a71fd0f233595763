// Contains every statement against `revocation_count`, a single row that counts all revocations.
import { assert } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

const ROW = { id: 0 };

/**
 * Counts one more revocation and returns its number. The row stays locked until the transaction ends, so that numbers
 * have no gaps in commit order.
 */
export async function countRevocation(trx: Transaction): Promise<number> {
  const updated = await trx("revocation_count").where(ROW).increment("revocations", 1);
  assert(updated === 1, "revocation_count has no row; its migration has not run");
  return readRevocationCount(trx);
}

export async function readRevocationCount(queryable: Queryable): Promise<number> {
  const row = await queryable("revocation_count")
    .select("revocations")
    .where(ROW)
    .first<{ readonly revocations: number } | undefined>();
  return Number(row?.revocations ?? 0);
}
