// Erases what an organization stores about a person in bounded steps, and completes the receipt.
import { type OrganizationId, shardOf, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { readPositions } from "@muster/outbox";
import type { DeletionCounts } from "../deletion-request-storage/deletion-request.ts";
import {
  completeDeletionRequest,
  saveDeletionCounts,
} from "../deletion-request-storage/deletion-request-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { eraseLogins } from "../login-counts/erase-logins.ts";
import { hasAppliedLogins } from "../login-counts/login-progress.ts";
import { type LeasedOperation, OperationFailed } from "../operations/operation.ts";
import type { OperationRun, OperationRunner } from "../operations/operation-worker.ts";
import { locationsOf } from "./deletion-request-proto.ts";
import {
  deleteSomeExports,
  deleteSomeSessionsOf,
  type ErasedPerson,
  forgetLastOrganization,
} from "./organization-rows-store.ts";

interface Removal {
  readonly removed: number;
  readonly hasMore: boolean;
}

interface Location {
  readonly location: string;
  /** Removes a bounded number of rows. */
  remove(trx: Transaction, person: ErasedPerson, createTimeMs: number): Promise<Removal>;
}

const LOCATIONS: readonly Location[] = [
  { location: "identity.exports", remove: removeExports },
  { location: "identity.sessions", remove: removeSessions },
  { location: "identity.login_events", remove: eraseLogins },
];

/** What the runner saves after each step, so that a crash loses no count. */
interface Progress {
  readonly user_id: UserId;
  readonly counts: DeletionCounts;
  /** Logins up to this position of the person's shard are from before the end of the membership. */
  readonly login_position: number;
}

/** Until the consumer of logins is read again. */
const WAIT_MS = 500;

export function userErasureRunner(deps: IdentityDeps): OperationRunner {
  return {
    async run(run) {
      const person = personOf(run.operation);
      let progress = await begin(deps, run, person);
      const shard = shardOf(person.organizationId, person.userId);
      if (!(await hasAppliedLogins(deps.database.reader, { [shard]: progress.login_position }))) {
        const dueMs = deps.clock.nowMs() + WAIT_MS;
        await deps.database.transaction((trx) => deps.operations.release(trx, run.operation, { dueMs }));
        return;
      }
      for (const location of LOCATIONS) {
        for (let hasMore = true; hasMore; ) {
          await run.renew();
          ({ progress, hasMore } = await removeSome(deps, run, progress, location));
        }
      }
      // SQLite keeps deleted values in its files until then.
      await deps.database.removeDeletedData();
      await complete(deps, run, progress);
    },
    // A further approval continues from these counts. The operation has the input from the begin of the attempt.
    async discard(trx, { id }) {
      const { counts = {} } = (await deps.operations.readInput(trx, id)) as Partial<Progress>;
      await saveDeletionCounts(trx, id, counts);
    },
  };
}

function personOf({ organizationId, input }: LeasedOperation): ErasedPerson {
  if (organizationId === undefined) throw new OperationFailed("INTERNAL");
  return { organizationId: organizationId as OrganizationId, userId: input.user_id as UserId };
}

async function begin(
  deps: IdentityDeps,
  { operation }: OperationRun,
  { organizationId, userId }: ErasedPerson,
): Promise<Progress> {
  const saved = operation.input as Partial<Progress>;
  const counts = saved.counts ?? {};
  if (saved.login_position !== undefined) {
    return { user_id: userId, counts, login_position: saved.login_position };
  }
  return deps.database.transaction(async (trx) => {
    const login_position = (await readPositions(trx))[shardOf(organizationId, userId)] ?? 0;
    const progress = { user_id: userId, counts, login_position };
    await deps.operations.saveInput(trx, operation, progress);
    return progress;
  });
}

function removeSome(
  deps: IdentityDeps,
  { operation }: OperationRun,
  before: Progress,
  { location, remove }: Location,
): Promise<{ readonly progress: Progress; readonly hasMore: boolean }> {
  return deps.database.transaction(async (trx) => {
    await deps.operations.requireLease(trx, operation);
    const { removed, hasMore } = await remove(trx, personOf(operation), operation.createTimeMs);
    const counts = { ...before.counts, [location]: (before.counts[location] ?? 0) + removed };
    const progress = { ...before, counts };
    await deps.operations.saveInput(trx, operation, { ...progress });
    return { progress, hasMore };
  });
}

async function complete(deps: IdentityDeps, { operation }: OperationRun, { counts }: Progress) {
  const nowMs = deps.clock.nowMs();
  const person = personOf(operation);
  await deps.database.transaction(async (trx) => {
    await forgetLastOrganization(trx, person);
    await completeDeletionRequest(trx, operation.id, { nowMs, counts });
    const result = { user_id: person.userId, locations: locationsOf(counts) };
    await deps.operations.finish(trx, operation, { nowMs, result });
  });
}

async function removeExports(trx: Transaction, person: ErasedPerson): Promise<Removal> {
  const { exports, hasMore } = await deleteSomeExports(trx, person);
  return { removed: exports, hasMore };
}

async function removeSessions(trx: Transaction, person: ErasedPerson, untilMs: number): Promise<Removal> {
  const removed = await deleteSomeSessionsOf(trx, person, untilMs);
  return { removed, hasMore: removed > 0 };
}
