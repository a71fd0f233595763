// Completes an erasure when no task is left, here or in the services that follow.
import type { Transaction } from "@muster/db";
import type { ErasureKey } from "./erasure.ts";
import { completeErasure, lockErasure } from "./erasure-store.ts";
import { removeDoneTasks } from "./task-store.ts";

/** False when the receipt does not exist. */
export async function finishErasure(trx: Transaction, erasure: ErasureKey, nowMs: number): Promise<boolean> {
  // The lock serializes two transactions that finish the last parts at the same time.
  if (!(await lockErasure(trx, erasure))) return false;
  const isLeft = await removeDoneTasks(trx, erasure);
  if (!isLeft) await completeErasure(trx, erasure, nowMs);
  return true;
}
