// Removes the data of a deleted account in bounded steps, and records how much was removed.
import { bytesToUuid, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { removeKeysOf } from "@muster/idempotency";
import { readPositions } from "@muster/outbox";
import { userScope } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { deleteSomeChunks } from "../exports/chunk-store.ts";
import { deleteExport, lockExport } from "../exports/export-store.ts";
import { eraseLogins } from "../login-counts/erase-logins.ts";
import { findOrganizationWithLogins } from "../login-counts/login-event-store.ts";
import { hasAppliedLogins } from "../login-counts/login-progress.ts";
import type { OperationRun, OperationRunner } from "../operations/operation-worker.ts";
import { completeAccountErasure } from "./account-erasure-store.ts";
import { deleteSomeActivities, deleteSomeSessions, listSomeExports } from "./personal-rows-store.ts";

export const ACCOUNT_ERASURE_KIND = "account_erasure";

interface Removal {
  readonly removed: number;
  readonly hasMore: boolean;
}

interface Location {
  readonly location: string;
  /** Removes a bounded number of rows. */
  remove(trx: Transaction, userId: UserId, deps: IdentityDeps, progress: Progress): Promise<Removal>;
}

const LOCATIONS: readonly Location[] = [
  { location: "identity.mail_jobs", remove: removeMails },
  { location: "identity.idempotency_keys", remove: removeResponses },
  { location: "identity.exports", remove: removeExports },
  { location: "identity.sessions", remove: untilNone(deleteSomeSessions) },
  { location: "identity.user_activities", remove: untilNone(deleteSomeActivities) },
  { location: "identity.login_events", remove: removeLogins },
];

/** What the runner saves after each step, so that a crash loses no count. */
interface Progress {
  readonly user_id: UserId;
  readonly counts: Readonly<Record<string, number>>;
  /** Digests of the addresses of the person. */
  readonly recipients: readonly string[];
  /** By shard: logins up to this position are from before the end of the account. */
  readonly login_positions: readonly number[];
}

const RESPONSES_AT_ONCE = 100;
/** Until the consumer of logins is read again. */
const WAIT_MS = 500;

export function accountErasureRunner(deps: IdentityDeps): OperationRunner {
  return {
    neverGivesUp: true,
    async run(run) {
      let progress = await begin(deps, run);
      if (!(await hasAppliedLogins(deps.database.reader, progress.login_positions))) {
        const dueMs = deps.clock.nowMs() + WAIT_MS;
        await deps.database.transaction((trx) => deps.operations.release(trx, run.operation, { dueMs }));
        return;
      }
      for (const location of LOCATIONS) {
        for (let hasMore = true; hasMore; ) {
          await run.renew();
          ({ hasMore, progress } = await removeSome(deps, run, progress, location));
        }
      }
      // SQLite keeps deleted values in its files until then.
      await deps.database.removeDeletedData();
      const nowMs = deps.clock.nowMs();
      const { user_id, counts } = progress;
      const locations = LOCATIONS.map(({ location }) => ({ location, count: counts[location] ?? 0 }));
      const result = { user_id, locations };
      await deps.database.transaction(async (trx) => {
        await completeAccountErasure(trx, deps.accountErasureKey, user_id, { nowMs, counts });
        await deps.operations.finish(trx, run.operation, { nowMs, result });
      });
    },
  };
}

async function begin(deps: IdentityDeps, { operation }: OperationRun): Promise<Progress> {
  const saved = operation.input as Partial<Progress>;
  const user_id = operation.input.user_id as UserId;
  const { counts = {}, recipients = [] } = saved;
  if (saved.login_positions !== undefined) {
    return { user_id, counts, recipients, login_positions: saved.login_positions };
  }
  return deps.database.transaction(async (trx) => {
    const progress = { user_id, counts, recipients, login_positions: await readPositions(trx) };
    await deps.operations.saveInput(trx, operation, progress);
    return progress;
  });
}

function removeSome(
  deps: IdentityDeps,
  { operation }: OperationRun,
  before: Progress,
  { location, remove }: Location,
): Promise<{ readonly hasMore: boolean; readonly progress: Progress }> {
  return deps.database.transaction(async (trx) => {
    await deps.operations.requireLease(trx, operation);
    const { removed, hasMore } = await remove(trx, before.user_id, deps, before);
    const counts = { ...before.counts, [location]: (before.counts[location] ?? 0) + removed };
    const progress = { ...before, counts };
    await deps.operations.saveInput(trx, operation, { ...progress });
    return { hasMore, progress };
  });
}

/** A deletion that removes 0 rows at the end. */
function untilNone(deleteSome: (trx: Transaction, userId: UserId) => Promise<number>): Location["remove"] {
  return async (trx, userId) => {
    const removed = await deleteSome(trx, userId);
    return { removed, hasMore: removed > 0 };
  };
}

async function removeMails(
  trx: Transaction,
  _userId: UserId,
  { mailer }: IdentityDeps,
  { recipients }: Progress,
): Promise<Removal> {
  let removed = 0;
  for (const recipient of recipients) removed += await mailer.eraseSome(trx, recipient);
  return { removed, hasMore: removed > 0 };
}

async function removeResponses(trx: Transaction, userId: UserId): Promise<Removal> {
  const removed = await removeKeysOf(trx, userScope(userId), RESPONSES_AT_ONCE);
  return { removed, hasMore: removed > 0 };
}

async function removeLogins(trx: Transaction, userId: UserId): Promise<Removal> {
  const organizationId = await findOrganizationWithLogins(trx, userId);
  if (organizationId === undefined) return { removed: 0, hasMore: false };
  const { removed } = await eraseLogins(trx, { organizationId, userId });
  return { removed, hasMore: true };
}

/** An export counts with its last chunk. */
async function removeExports(trx: Transaction, userId: UserId): Promise<Removal> {
  const [id] = (await listSomeExports(trx, userId)).map((bytes) => bytesToUuid(bytes));
  if (id === undefined) return { removed: 0, hasMore: false };
  // The lock lets no runner add a chunk meanwhile.
  await lockExport(trx, id);
  if (await deleteSomeChunks(trx, id)) return { removed: 0, hasMore: true };
  await deleteExport(trx, id);
  return { removed: 1, hasMore: true };
}
