// Commits calls in order. Runs of calls without an identity claim share commits with other requests. Runs of
// calls with identity claims commit exclusively, before the calls that follow.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import {
  type BeforeInsert,
  createSubmission,
  type EventOutcome,
  type Submission,
} from "../ingest/submission.ts";
import type { ReadCall } from "../tracking-calls/read-call.ts";
import { ClaimsOfSubmission, rejectionReasons } from "./claims-before-insert.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

/** Maximum number of calls in one submission, so that other requests of the organization are not delayed. */
const RUN_CALLS_MAX = 1000;

/** The outcome of each call, in order. */
export type CallOutcomes = readonly EventOutcome[];

/** `kind` selects the overload limit: single calls are accepted longer than batches. */
export interface CommitOptions {
  readonly kind: "single" | "batch";
  /** Saves the response to all calls in the transaction of the last calls. */
  readonly saveResponse: Submission["saveResponse"];
  readonly saveSeed?: Submission["saveSeed"];
}

/**
 * Commits all calls. Rejects if a call could not be tried, for example because of overload or a deadline.
 * Earlier calls stay committed, and their message ids prevent duplicates when the client retries.
 */
export async function commitCalls(
  deps: TrackingDeps,
  context: CallContext,
  calls: readonly ReadCall[],
  options: CommitOptions,
): Promise<CallOutcomes> {
  const outcomes: EventOutcome[] = [];
  for (const run of runsOf(calls, () => deps.ingest.exclusiveRows(context.organizationId))) {
    context.signal.throwIfAborted();
    await commitRun({ deps, context, options, count: calls.length, outcomes }, run);
  }
  return outcomes;
}

/** Whether the event of the call is stored, or was stored before an erasure. */
export function wasAccepted(outcome: EventOutcome): boolean {
  if (outcome.status !== "rejected") return true;
  // The message id alone identifies a repeated call; other content is ignored.
  return outcome.error.reason === "EVENT_CONFLICT" || outcome.error.reason === "EVENT_ERASED";
}

interface Progress {
  readonly deps: TrackingDeps;
  readonly context: CallContext;
  readonly options: CommitOptions;
  /** Number of all calls. */
  readonly count: number;
  /** Outcomes of the calls that were already committed. */
  readonly outcomes: EventOutcome[];
}

async function commitRun(progress: Progress, run: readonly ReadCall[]): Promise<void> {
  const { deps, context, outcomes, options } = progress;
  const claims = run.flatMap(({ claim }) => claim ?? []);
  if (claims.length === 0) {
    outcomes.push(...(await deps.ingest.submit(submissionOf(progress, run), options.kind)));
    return;
  }
  const applied = new ClaimsOfSubmission(deps, context, claims);
  try {
    const submission = submissionOf(progress, run, applied.beforeInsert);
    const committed = await deps.ingest.submitExclusive(submission, options.kind);
    for (const reason of applied.skippedOf(committed)) deps.trackingMetrics.linkSkipped(reason);
    outcomes.push(...committed);
  } catch (error) {
    if (!(error instanceof AppError) || !rejectionReasons.has(error.reason)) throw error;
    // A rejected claim fails only its own call, so the calls of the run are committed one by one.
    if (run.length === 1) outcomes.push({ status: "rejected", error });
    else for (const call of run) await commitRun(progress, [call]);
  }
}

function submissionOf(
  { context, options, outcomes, count }: Progress,
  run: readonly ReadCall[],
  beforeInsert?: BeforeInsert,
): Submission {
  const before = [...outcomes];
  const { saveResponse, saveSeed } = options;
  return createSubmission(
    context.organizationId,
    run.map(({ event }) => event),
    {
      traceParent: context.traceParent,
      saveSeed,
      ...(saveResponse &&
        before.length + run.length === count && {
          saveResponse: (trx, own) => saveResponse(trx, [...before, ...own]),
        }),
      ...(beforeInsert && { beforeInsert }),
    },
  );
}

/**
 * Yields runs of consecutive calls: all calls of a run have an identity claim, or none has. The size of a run with
 * claims is read when the run starts, because such a run is one transaction.
 */
function* runsOf(calls: readonly ReadCall[], claimRunCalls: () => number): Generator<readonly ReadCall[]> {
  const hasClaim = (index: number): boolean => calls[index]?.claim !== undefined;
  for (let start = 0, end = 1; start < calls.length; start = end, end += 1) {
    const callsMax = hasClaim(start) ? claimRunCalls() : RUN_CALLS_MAX;
    while (end < calls.length && end - start < callsMax && hasClaim(end) === hasClaim(start)) end += 1;
    yield calls.slice(start, end);
  }
}
