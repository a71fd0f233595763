// Removes the data of a deleted account in bounded steps, and records how much was removed.
import { bytesToUuid, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { IdentityDeps } from "../deps.ts";
import { deleteSomeChunks } from "../exports/chunk-store.ts";
import { deleteExport } from "../exports/export-store.ts";
import type { OperationRun, OperationRunner } from "../operations/operation-worker.ts";
import { deleteSomeActivities, deleteSomeSessions, listSomeExports } from "./personal-rows-store.ts";

export const ACCOUNT_ERASURE_KIND = "account_erasure";

interface Location {
  readonly location: string;
  /** Removes a bounded number of rows; 0 at the end. */
  remove(trx: Transaction, userId: UserId): Promise<number>;
}

const LOCATIONS: readonly Location[] = [
  { location: "identity.exports", remove: removeExports },
  { location: "identity.sessions", remove: deleteSomeSessions },
  { location: "identity.user_activities", remove: deleteSomeActivities },
];

type Counts = Readonly<Record<string, number>>;

/** Every step saves the counts of the receipt, so that a crash loses no count. */
export function accountErasureRunner(deps: IdentityDeps): OperationRunner {
  return {
    async run(run) {
      const userId = run.operation.input.user_id as UserId;
      let counts = (run.operation.input.counts ?? {}) as Counts;
      for (const { location, remove } of LOCATIONS) {
        for (let removed = 1; removed > 0; ) {
          await run.renew();
          ({ removed, counts } = await removeSome(deps, run, counts, { location, remove }));
        }
      }
      // SQLite keeps deleted values in its files until then.
      await deps.database.removeDeletedData();
      const nowMs = deps.clock.nowMs();
      const locations = LOCATIONS.map(({ location }) => ({ location, count: counts[location] ?? 0 }));
      const result = { user_id: userId, locations };
      await deps.database.transaction((trx) => deps.operations.finish(trx, run.operation, { nowMs, result }));
    },
  };
}

function removeSome(
  deps: IdentityDeps,
  { operation }: OperationRun,
  before: Counts,
  { location, remove }: Location,
): Promise<{ readonly removed: number; readonly counts: Counts }> {
  const userId = operation.input.user_id as UserId;
  return deps.database.transaction(async (trx) => {
    await deps.operations.requireLease(trx, operation);
    const removed = await remove(trx, userId);
    const counts = { ...before, [location]: (before[location] ?? 0) + removed };
    await deps.operations.saveInput(trx, operation, { user_id: userId, counts });
    return { removed, counts };
  });
}

async function removeExports(trx: Transaction, userId: UserId): Promise<number> {
  const [id] = (await listSomeExports(trx, userId)).map((bytes) => bytesToUuid(bytes));
  if (id === undefined) return 0;
  if (!(await deleteSomeChunks(trx, id))) await deleteExport(trx, id);
  return 1;
}
