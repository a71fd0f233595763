// Commits calls in their order: runs of those that only say what happened share their submission with whatever
// else arrives, and runs of those that say who somebody is commit alone, before the calls that follow them.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { createSubmission, type EventOutcome, type Submission } from "../ingest/submission.ts";
import { applyStatements, refusals } from "./apply-statements.ts";
import type { ReadCall } from "./read-call.ts";

/** Of one submission, so that others of the organisation have their turn in between. */
const RUN_CALLS_MAX = 1000;
/** Of one that changes people: until it commits they are locked. */
const STATEMENT_RUN_CALLS_MAX = 50;

/** What became of each call, in their order. */
export type CallOutcomes = readonly EventOutcome[];

export interface CommitOptions {
  readonly kind: "single" | "batch";
  /** Keeps the answer to all calls, in the transaction of the last ones. */
  readonly settle: Submission["settle"];
}

/**
 * Rejects when a call could not be tried, as for lack of room or time: those before it stay, and their message
 * ids keep them from counting again.
 */
export async function commitCalls(
  deps: EventsDeps,
  context: CallContext,
  calls: readonly ReadCall[],
  options: CommitOptions,
): Promise<CallOutcomes> {
  const outcomes: EventOutcome[] = [];
  for (const run of runsOf(calls)) {
    context.signal.throwIfAborted();
    await commitRun({ deps, context, options, count: calls.length, outcomes }, run);
  }
  return outcomes;
}

/** Whether the call's event is there, or was before it was erased. */
export function wasTaken(outcome: EventOutcome): boolean {
  if (outcome.status !== "rejected") return true;
  // The id alone decides: what else a repeated call says does not matter any more.
  return outcome.error.reason === "EVENT_CONFLICT" || outcome.error.reason === "EVENT_ERASED";
}

interface Progress {
  readonly deps: EventsDeps;
  readonly context: CallContext;
  readonly options: CommitOptions;
  /** Of all calls. */
  readonly count: number;
  /** Of those so far. */
  readonly outcomes: EventOutcome[];
}

async function commitRun(progress: Progress, run: readonly ReadCall[]): Promise<void> {
  const { deps, outcomes, options } = progress;
  const submission = submissionOf(progress, run);
  if (submission.prepare === undefined) {
    outcomes.push(...(await deps.ingest.submit(submission, options.kind)));
    return;
  }
  try {
    outcomes.push(...(await deps.ingest.submitAlone(submission, options.kind)));
  } catch (error) {
    if (!(error instanceof AppError) || !refusals.has(error.reason)) throw error;
    // A statement that is refused is its own call's failure: alone the others are not.
    if (run.length === 1) outcomes.push({ status: "rejected", error });
    else for (const call of run) await commitRun(progress, [call]);
  }
}

function submissionOf(progress: Progress, run: readonly ReadCall[]): Submission {
  const { deps, context, options, outcomes, count } = progress;
  const before = [...outcomes];
  const { settle } = options;
  const statements = run.flatMap(({ statement }) => statement ?? []);
  return createSubmission(
    context.organizationId,
    run.map(({ event }) => event),
    {
      traceParent: context.traceParent,
      ...(settle &&
        before.length + run.length === count && { settle: (trx, own) => settle(trx, [...before, ...own]) }),
      ...(statements.length > 0 && { prepare: applyStatements(deps, context, statements) }),
    },
  );
}

/** Neighbours that all say who somebody is, or all do not. */
function* runsOf(calls: readonly ReadCall[]): Generator<readonly ReadCall[]> {
  const saysWho = (index: number): boolean => calls[index]?.statement !== undefined;
  for (let start = 0, end = 1; start < calls.length; start = end, end += 1) {
    const callsMax = saysWho(start) ? STATEMENT_RUN_CALLS_MAX : RUN_CALLS_MAX;
    while (end < calls.length && end - start < callsMax && saysWho(end) === saysWho(start)) end += 1;
    yield calls.slice(start, end);
  }
}
