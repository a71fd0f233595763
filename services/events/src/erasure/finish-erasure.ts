// Completes an erasure once nothing is left to do of it: neither here nor in the services that follow.
import type { Transaction } from "@muster/db";
import type { ErasureKey } from "./erasure.ts";
import { completeErasure, lockErasure } from "./erasure-store.ts";
import { removeDoneTasks } from "./task-store.ts";

/** False if there is no such erasure. */
export async function finishErasure(trx: Transaction, erasure: ErasureKey, nowMs: number): Promise<boolean> {
  // Two who do its last parts at once: the second sees what the first has done.
  if (!(await lockErasure(trx, erasure))) return false;
  const isLeft = await removeDoneTasks(trx, erasure);
  if (!isLeft) await completeErasure(trx, erasure, nowMs);
  return true;
}
