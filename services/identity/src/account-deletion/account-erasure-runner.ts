// Removes the data of a deleted account in bounded steps, and records how much was removed.
import { bytesToUuid, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { readPositions } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { deleteSomeChunks } from "../exports/chunk-store.ts";
import { deleteExport, lockExport } from "../exports/export-store.ts";
import { eraseLogins } from "../login-counts/erase-logins.ts";
import { findOrganizationWithLogins } from "../login-counts/login-event-store.ts";
import { hasAppliedLogins } from "../login-counts/login-progress.ts";
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
  { location: "identity.login_events", remove: removeLogins },
];

/** What the runner saves after each step, so that a crash loses no count. */
interface Progress {
  readonly user_id: UserId;
  readonly counts: Readonly<Record<string, number>>;
  /** By shard: logins up to this position are from before the end of the account. */
  readonly login_positions: readonly number[];
}

/** Until the consumer of logins is read again. */
const WAIT_MS = 500;

export function accountErasureRunner(deps: IdentityDeps): OperationRunner {
  return {
    async run(run) {
      let progress = await begin(deps, run);
      if (!(await hasAppliedLogins(deps.database.reader, progress.login_positions))) {
        const dueMs = deps.clock.nowMs() + WAIT_MS;
        await deps.database.transaction((trx) => deps.operations.release(trx, run.operation, { dueMs }));
        return;
      }
      for (const location of LOCATIONS) {
        for (let removed = 1; removed > 0; ) {
          await run.renew();
          ({ removed, progress } = await removeSome(deps, run, progress, location));
        }
      }
      // SQLite keeps deleted values in its files until then.
      await deps.database.removeDeletedData();
      const nowMs = deps.clock.nowMs();
      const { user_id, counts } = progress;
      const locations = LOCATIONS.map(({ location }) => ({ location, count: counts[location] ?? 0 }));
      const result = { user_id, locations };
      await deps.database.transaction((trx) => deps.operations.finish(trx, run.operation, { nowMs, result }));
    },
  };
}

async function begin(deps: IdentityDeps, { operation }: OperationRun): Promise<Progress> {
  const saved = operation.input as Partial<Progress>;
  const user_id = operation.input.user_id as UserId;
  const counts = saved.counts ?? {};
  if (saved.login_positions !== undefined) {
    return { user_id, counts, login_positions: saved.login_positions };
  }
  return deps.database.transaction(async (trx) => {
    const progress = { user_id, counts, login_positions: await readPositions(trx) };
    await deps.operations.saveInput(trx, operation, progress);
    return progress;
  });
}

function removeSome(
  deps: IdentityDeps,
  { operation }: OperationRun,
  before: Progress,
  { location, remove }: Location,
): Promise<{ readonly removed: number; readonly progress: Progress }> {
  return deps.database.transaction(async (trx) => {
    await deps.operations.requireLease(trx, operation);
    const removed = await remove(trx, before.user_id);
    const counts = { ...before.counts, [location]: (before.counts[location] ?? 0) + removed };
    const progress = { ...before, counts };
    await deps.operations.saveInput(trx, operation, { ...progress });
    return { removed, progress };
  });
}

async function removeLogins(trx: Transaction, userId: UserId): Promise<number> {
  const organizationId = await findOrganizationWithLogins(trx, userId);
  if (organizationId === undefined) return 0;
  return (await eraseLogins(trx, { organizationId, userId })).removed;
}

async function removeExports(trx: Transaction, userId: UserId): Promise<number> {
  const [id] = (await listSomeExports(trx, userId)).map((bytes) => bytesToUuid(bytes));
  if (id === undefined) return 0;
  // The lock lets no runner add a chunk meanwhile.
  await lockExport(trx, id);
  if (!(await deleteSomeChunks(trx, id))) await deleteExport(trx, id);
  return 1;
}
