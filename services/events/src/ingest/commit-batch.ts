// Commits a batch of submissions in one transaction: events, new profiles, outbox messages and the responses
// saved under idempotency keys. All or nothing.
import { assert, type Clock, type IdSource, type OrganizationId, WorkBudget } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OutboxDraft, OutboxPort } from "@muster/outbox";
import { shardsOfIdentityChanges, trackedEventsRecorded } from "../domain-events/domain-events.ts";
import { insertEvents, insertUndatedIds } from "../event-storage/event-store.ts";
import { IdentityConflict } from "../identity-graph/identity-transaction.ts";
import {
  ERASURES_VERSION,
  type IdentityVersions,
  incrementIdentityVersions,
  readIdentityVersions,
} from "../identity-graph/identity-versions-store.ts";
import { insertProfiles } from "../profile-storage/profile-store.ts";
import {
  type BatchContext,
  type BatchKeys,
  collectKeys,
  type ErasedEventFinder,
  type ErasedIds,
} from "./batch-context.ts";
import { loadBatchContext } from "./batch-context-store.ts";
import type { IngestStep } from "./ingest-step.ts";
import { type BatchPlan, planBatch, withAlertCodes } from "./plan-batch.ts";
import type { BeforeInsertResult, EventOutcome, Submission } from "./submission.ts";

/** The dependencies of a commit. */
export interface CommitDeps {
  readonly database: Database;
  readonly outbox: Pick<OutboxPort, "append" | "committed">;
  readonly clock: Clock;
  readonly profileIds: IdSource;
  /** In a fixed order, so that every transaction acquires the locks of the steps in the same order. */
  readonly steps: readonly IngestStep[];
  readonly erased: ErasedEventFinder;
}

/** Saving the response of one submission failed. Only this submission must fail. */
export class ResponseSaveFailed extends Error {
  override name = "ResponseSaveFailed";
  readonly submission: Submission;

  constructor(submission: Submission, cause: unknown) {
    super("saving a response under its idempotency key failed", { cause });
    this.submission = submission;
  }
}

/** A committed batch: the plan with all outcomes, and the time for which the transaction held its locks. */
export interface CommittedBatch {
  readonly plan: BatchPlan;
  readonly heldMs: number;
}

/**
 * Commits the submissions. Without `checkDuplicates`, an event or
 * identity that is already stored rejects with the unique violation. With `checkDuplicates`, only a
 * concurrent insert does.
 */
export async function commitBatch(
  deps: CommitDeps,
  submissions: readonly Submission[],
  options: { readonly checkDuplicates: boolean },
): Promise<CommittedBatch> {
  const keys = collectKeys(submissions);
  const [{ beforeInsert } = { beforeInsert: undefined }] = submissions;
  assert(
    submissions.length === 1 || submissions.every((one) => one.beforeInsert === undefined),
    "a submission with an identity change shares its transaction with other submissions",
  );
  const withStoredEvents = options.checkDuplicates || beforeInsert !== undefined;
  // The submission whose response is being saved, to attribute a failure. The error itself leaves the
  // transaction unchanged, because packages/db decides by its type whether to retry.
  let savingResponse: Submission | undefined;
  let startMs = deps.clock.monotonicMs();
  const body = async (trx: Transaction): Promise<BatchPlan> => {
    savingResponse = undefined;
    startMs = deps.clock.monotonicMs();
    const pause = pauseIn(WorkBudget.inSlices({ clock: deps.clock }));
    const readAndPlan = async (
      rejected?: BeforeInsertResult["rejected"],
    ): Promise<{
      readonly versions: IdentityVersions;
      readonly plan: BatchPlan;
    }> => {
      // Read before the data whose validity the versions prove.
      const versions = await readIdentityVersions(trx);
      const context = await loadBatchContext(trx, keys, { withStoredEvents });
      addErased(context, await deps.erased.find(trx, keys, versions));
      const options = { profileIds: deps.profileIds, nowMs: deps.clock.nowMs() };
      return {
        versions,
        plan: planBatch(submissions, context, { ...options, ...(rejected && { rejected }) }),
      };
    };
    let { versions, plan } = await readAndPlan();
    await pause(plan.newEvents.length);
    let identityDrafts: readonly OutboxDraft[] = [];
    const newCount = plan.newEvents.length;
    if (beforeInsert !== undefined && newCount > 0) {
      const { drafts, rejected } = await beforeInsert(trx, plan.outcomes[0] ?? noOutcomes);
      identityDrafts = drafts;
      ({ versions, plan } = await readAndPlan(rejected));
      // A concurrent transaction stored one of the events, so its identity claim must not apply twice.
      if (plan.newEvents.length !== newCount - rejected.size) throw new IdentityConflict();
    }
    const drafts = [...identityDrafts, ...(await insertPlan(trx, plan, pause))];
    if (plan.newEvents.length > 0) {
      const result = await runSteps(deps.steps, trx, { plan, pause });
      drafts.push(...result.drafts);
      plan = result.plan;
    }
    for (const [index, submission] of submissions.entries()) {
      savingResponse = submission;
      await submission.saveSeed?.(trx);
      await submission.saveResponse?.(trx, plan.outcomes[index] ?? noOutcomes);
      savingResponse = undefined;
    }
    if (drafts.length > 0) await appendDrafts(deps, trx, { drafts, plan, versions, keys });
    return plan;
  };
  try {
    const plan = await deps.database.transaction(body);
    if (plan.shardChanges.length > 0) deps.outbox.committed();
    return { plan, heldMs: deps.clock.monotonicMs() - startMs };
  } catch (error) {
    throw savingResponse === undefined ? error : new ResponseSaveFailed(savingResponse, error);
  }
}

const noOutcomes: readonly EventOutcome[] = [];

interface PlannedChanges {
  readonly drafts: readonly OutboxDraft[];
  readonly plan: BatchPlan;
  /** The versions that the plan is based on. */
  readonly versions: IdentityVersions;
  readonly keys: ReadonlyMap<OrganizationId, BatchKeys>;
}

/** Appends the messages last, and then proves that the plan is still valid. */
async function appendDrafts(
  deps: CommitDeps,
  trx: Transaction,
  { drafts, plan, versions, keys }: PlannedChanges,
): Promise<void> {
  await deps.outbox.append(trx, drafts);
  const now = await readIdentityVersions(trx);
  requireUnchangedVersions(now, versions, plan);
  if (now[ERASURES_VERSION] !== versions[ERASURES_VERSION]) {
    requireNotErased(plan, await deps.erased.find(trx, keys, now));
  }
  await incrementIdentityVersions(trx, shardsOfIdentityChanges(drafts));
}

/**
 * Throws IdentityConflict if an identity version of the plan's shards has changed. Invariant: `now` was read
 * while this transaction held the positions of the shards. A transaction that changes one of the versions
 * needs the same positions, so it waits for this commit.
 */
function requireUnchangedVersions(now: IdentityVersions, before: IdentityVersions, plan: BatchPlan): void {
  if (plan.shardChanges.some(({ shard }) => now[shard] !== before[shard])) throw new IdentityConflict();
}

/**
 * Throws IdentityConflict if an event of the plan was erased after the lookup for erased events. Its insert
 * succeeded only because the erased row was already deleted, so the hash of the erased event is visible now.
 */
function requireNotErased(plan: BatchPlan, erased: ReadonlyMap<OrganizationId, ErasedIds>): void {
  for (const { organizationId, id, clientEventId } of plan.newEvents) {
    const own = erased.get(organizationId);
    if (own === undefined || clientEventId === undefined) continue;
    if (own.ids.has(id) || own.undatedIds.has(clientEventId)) throw new IdentityConflict();
  }
}

function addErased(context: BatchContext, erased: ReadonlyMap<OrganizationId, ErasedIds>): void {
  for (const [organizationId, { ids, undatedIds }] of erased) {
    const own = context.get(organizationId);
    for (const id of ids) own?.erasedIds.add(id);
    for (const id of undatedIds) own?.erasedUndatedIds.add(id);
  }
}

/**
 * Encodes messages while the database inserts the rows. Invariant: the function returns or throws only after
 * the insert has ended, because statements sent after a rollback would run outside of any transaction.
 */
async function insertAndEncode(trx: Transaction, plan: BatchPlan): Promise<OutboxDraft[]> {
  const inserted = insertEvents(trx, plan.newEvents);
  try {
    return trackedEventsRecorded(plan.shardChanges);
  } finally {
    await inserted;
  }
}

/** Yields to the event loop after a stage of this many rows if a slice is over. */
type Pause = (rows: number) => Promise<void>;

/** Estimated processor time of one stage for a row, in units of a budget. */
const ROW_UNITS = 20;

/** SQLite runs statements on this thread, so that a large commit would hold the process from end to end. */
function pauseIn(budget: WorkBudget): Pause {
  return async (rows) => {
    budget.spend(rows * ROW_UNITS);
    if (budget.isSliceOver) await budget.turn();
  };
}

async function insertPlan(trx: Transaction, plan: BatchPlan, pause: Pause): Promise<OutboxDraft[]> {
  await insertProfiles(trx, plan.newProfiles);
  await pause(plan.newProfiles.length);
  const drafts = await insertAndEncode(trx, plan);
  await pause(plan.newEvents.length);
  await insertUndatedIds(trx, plan.newUndated);
  await pause(plan.newUndated.length);
  return drafts;
}

async function runSteps(
  steps: readonly IngestStep[],
  trx: Transaction,
  { plan, pause }: { readonly plan: BatchPlan; readonly pause: Pause },
): Promise<{ readonly plan: BatchPlan; readonly drafts: readonly OutboxDraft[] }> {
  const drafts: OutboxDraft[] = [];
  let current = plan;
  for (const step of steps) {
    const result = await step.apply(trx, current);
    drafts.push(...result.drafts);
    current = withAlertCodes(current, result.alertCodes);
    await pause(plan.newEvents.length);
  }
  return { plan: current, drafts };
}
