// Commits calls in order. Runs of calls without an identity claim share commits with other requests. Runs of
// calls with identity claims commit exclusively, before the calls that follow.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { createSubmission, type EventOutcome, type Submission } from "../ingest/submission.ts";
import { applyStatements, refusals } from "./apply-statements.ts";
import type { ReadCall } from "./read-call.ts";

/** Maximum number of calls in one submission, so that other requests of the organization are not delayed. */
const RUN_CALLS_MAX = 1000;
/**
 * Maximum number of calls in a submission with identity claims, because it locks profiles until the commit.
 */
const STATEMENT_RUN_CALLS_MAX = 50;

/** The outcome of each call, in order. */
export type CallOutcomes = readonly EventOutcome[];

export interface CommitOptions {
  readonly kind: "single" | "batch";
  /** Saves the response to all calls in the transaction of the last calls. */
  readonly settle: Submission["settle"];
}

/**
 * Commits all calls. Rejects if a call could not be tried, for example because of overload or a deadline.
 * Earlier calls stay committed, and their message ids prevent duplicates when the client retries.
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

/** Whether the event of the call is stored, or was stored before an erasure. */
export function wasTaken(outcome: EventOutcome): boolean {
  if (outcome.status !== "rejected") return true;
  // The message id alone identifies a repeated call; other content is ignored.
  return outcome.error.reason === "EVENT_CONFLICT" || outcome.error.reason === "EVENT_ERASED";
}

interface Progress {
  readonly deps: EventsDeps;
  readonly context: CallContext;
  readonly options: CommitOptions;
  /** Number of all calls. */
  readonly count: number;
  /** Outcomes of the calls that were already committed. */
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
    // A rejected claim fails only its own call, so the calls of the run are committed one by one.
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

/** Yields runs of consecutive calls: all calls of a run have an identity claim, or none has. */
function* runsOf(calls: readonly ReadCall[]): Generator<readonly ReadCall[]> {
  const saysWho = (index: number): boolean => calls[index]?.statement !== undefined;
  for (let start = 0, end = 1; start < calls.length; start = end, end += 1) {
    const callsMax = saysWho(start) ? STATEMENT_RUN_CALLS_MAX : RUN_CALLS_MAX;
    while (end < calls.length && end - start < callsMax && saysWho(end) === saysWho(start)) end += 1;
    yield calls.slice(start, end);
  }
}
