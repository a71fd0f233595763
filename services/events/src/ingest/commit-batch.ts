// Commits a batch of submissions in one transaction: events, new profiles, outbox messages and the responses
// saved under idempotency keys. All or nothing.
import { assert, type Clock, type IdSource, type OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OutboxDraft, OutboxPort } from "@muster/outbox";
import { shardsOfPeopleChanged, trackedEventsRecorded } from "../domain-events.ts";
import { ERASURES_EPOCH } from "../erasure/erased-events-store.ts";
import type { ErasedIds, ErasedLookup } from "../erasure/erased-lookup.ts";
import { bumpEpochs, type Epochs, readEpochs } from "../people/epochs-store.ts";
import { PeopleChanged } from "../people/people-changed.ts";
import { insertProfiles } from "../profiles/profile-store.ts";
import { insertEvents, insertUndatedIds } from "../tracked-events/event-store.ts";
import { type BatchFacts, collectWanted } from "./batch-facts.ts";
import { loadFacts } from "./facts-store.ts";
import type { IngestStep } from "./ingest-step.ts";
import { type BatchPlan, planBatch } from "./plan-batch.ts";
import type { EventOutcome, Submission } from "./submission.ts";

export interface CommitDeps {
  readonly database: Database;
  readonly outbox: Pick<OutboxPort, "append" | "committed">;
  readonly clock: Clock;
  readonly profileIds: IdSource;
  /** In a fixed order, so that every transaction acquires the locks of the steps in the same order. */
  readonly steps: readonly IngestStep[];
  readonly erased: Pick<ErasedLookup, "find">;
}

/** Saving the response of one submission failed. Only this submission must fail. */
export class SettleFailed extends Error {
  override name = "SettleFailed";
  readonly submission: Submission;

  constructor(submission: Submission, cause: unknown) {
    super("saving a response under its idempotency key failed", { cause });
    this.submission = submission;
  }
}

/**
 * Commits the submissions and resolves to the plan with all outcomes. Without `lookFirst`, an event or
 * identity that is already stored rejects with the unique violation. With `lookFirst`, only a concurrent
 * insert does.
 */
export async function commitBatch(
  deps: CommitDeps,
  submissions: readonly Submission[],
  options: { readonly lookFirst: boolean },
): Promise<BatchPlan> {
  const wanted = collectWanted(submissions);
  const [{ prepare } = { prepare: undefined }] = submissions;
  assert(
    submissions.length === 1 || submissions.every((one) => one.prepare === undefined),
    "a submission with an identity change shares its transaction with other submissions",
  );
  const withStoredEvents = options.lookFirst || prepare !== undefined;
  // The submission whose response is being saved, to attribute a failure. The error itself leaves the
  // transaction unchanged, because packages/db decides by its type whether to retry.
  let settling: Submission | undefined;
  const body = async (trx: Transaction): Promise<BatchPlan> => {
    settling = undefined;
    const planNow = async (): Promise<{ readonly epochs: Epochs; readonly plan: BatchPlan }> => {
      // Read before the data whose validity the versions prove.
      const epochs = await readEpochs(trx);
      const facts = await loadFacts(trx, wanted, { withStoredEvents });
      addErased(facts, await deps.erased.find(trx, wanted, epochs));
      return { epochs, plan: planBatch(submissions, facts, deps.profileIds, deps.clock.nowMs()) };
    };
    let { epochs, plan } = await planNow();
    let prepared: readonly OutboxDraft[] = [];
    const newCount = plan.newEvents.length;
    if (prepare !== undefined && newCount > 0) {
      prepared = await prepare(trx, plan.outcomes[0] ?? noOutcomes);
      ({ epochs, plan } = await planNow());
      // A concurrent transaction stored one of the events, so its identity claim must not apply twice.
      if (plan.newEvents.length !== newCount) throw new PeopleChanged();
    }
    await insertProfiles(trx, plan.newProfiles);
    const drafts = [...prepared, ...(await insertAndEncode(trx, plan))];
    await insertUndatedIds(trx, plan.newUndated);
    if (plan.newEvents.length > 0) {
      for (const step of deps.steps) drafts.push(...(await step.apply(trx, plan)));
    }
    for (const [index, submission] of submissions.entries()) {
      if (submission.settle === undefined) continue;
      settling = submission;
      await submission.settle(trx, plan.outcomes[index] ?? noOutcomes);
      settling = undefined;
    }
    if (drafts.length > 0) {
      await deps.outbox.append(trx, drafts);
      const now = await readEpochs(trx);
      requireEpochs(now, epochs, plan);
      if (now[ERASURES_EPOCH] !== epochs[ERASURES_EPOCH]) {
        requireKept(plan, await deps.erased.find(trx, wanted, now));
      }
      await bumpEpochs(trx, shardsOfPeopleChanged(drafts));
    }
    return plan;
  };
  try {
    const plan = await deps.database.transaction(body);
    if (plan.shares.length > 0) deps.outbox.committed();
    return plan;
  } catch (error) {
    throw settling === undefined ? error : new SettleFailed(settling, error);
  }
}

const noOutcomes: readonly EventOutcome[] = [];

/**
 * Throws PeopleChanged if an identity version of the plan's shards has changed. Invariant: `now` was read
 * while this transaction held the positions of the shards. A transaction that changes one of the versions
 * needs the same positions, so it waits for this commit.
 */
function requireEpochs(now: Epochs, before: Epochs, plan: BatchPlan): void {
  if (plan.shares.some(({ shard }) => now[shard] !== before[shard])) throw new PeopleChanged();
}

/**
 * Throws PeopleChanged if an event of the plan was erased after the lookup for erased events. Its insert
 * succeeded only because the erased row was already deleted, so the hash of the erased event is visible now.
 */
function requireKept(plan: BatchPlan, erased: ReadonlyMap<OrganizationId, ErasedIds>): void {
  for (const { organizationId, id, clientEventId } of plan.newEvents) {
    const own = erased.get(organizationId);
    if (own === undefined || clientEventId === undefined) continue;
    if (own.ids.has(id) || own.undatedIds.has(clientEventId)) throw new PeopleChanged();
  }
}

function addErased(facts: BatchFacts, erased: ReadonlyMap<OrganizationId, ErasedIds>): void {
  for (const [organizationId, { ids, undatedIds }] of erased) {
    const own = facts.get(organizationId);
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
    return trackedEventsRecorded(plan.shares);
  } finally {
    await inserted;
  }
}
