// One transaction that stores a batch of submissions: events, new profiles, what is announced of them,
// and the answers kept under idempotency keys. All or nothing.
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
  /** In the order in which every transaction takes them, and so their locks. */
  readonly steps: readonly IngestStep[];
  readonly erased: Pick<ErasedLookup, "find">;
}

/** One submission's answer could not be kept: it alone is to fail. */
export class SettleFailed extends Error {
  override name = "SettleFailed";
  readonly submission: Submission;

  constructor(submission: Submission, cause: unknown) {
    super("an answer could not be kept under its idempotency key", { cause });
    this.submission = submission;
  }
}

/**
 * Commits and resolves to the outcomes. Without `lookFirst` an event or identity that is there already
 * rejects with the unique violation; with it, only one that somebody else stores at the same moment.
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
    "what prepares commits alone",
  );
  const withStoredEvents = options.lookFirst || prepare !== undefined;
  // What a failure came from. Errors leave the transaction as they are, for packages/db judges them.
  let settling: Submission | undefined;
  const body = async (trx: Transaction): Promise<BatchPlan> => {
    settling = undefined;
    const planNow = async (): Promise<{ readonly epochs: Epochs; readonly plan: BatchPlan }> => {
      // Before anything that is decided by them.
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
      // Somebody stored one of them meanwhile: then it must not say anything a second time.
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
 * Throws PeopleChanged unless everybody is still who they were. Invariant: `now` was read with the positions of
 * the shards held, behind which whoever changes an epoch of theirs has to wait until this has committed.
 */
function requireEpochs(now: Epochs, before: Epochs, plan: BatchPlan): void {
  if (plan.shares.some(({ shard }) => now[shard] !== before[shard])) throw new PeopleChanged();
}

/**
 * Throws PeopleChanged where what is stored now was erased since it was looked for. Its row is there only
 * because the erased one was gone by then, and so its hash is there too.
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
 * Encodes while the database is busy with the rows. Invariant: returns or throws only once the insert is
 * over, for what it still sends after a rollback would be outside of any transaction.
 */
async function insertAndEncode(trx: Transaction, plan: BatchPlan): Promise<OutboxDraft[]> {
  const inserted = insertEvents(trx, plan.newEvents);
  try {
    return trackedEventsRecorded(plan.shares);
  } finally {
    await inserted;
  }
}
