// Commits calls in their order: runs of those that only say what happened share a submission, and one that says
// who somebody is commits alone, before those that follow it.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { createSubmission, type EventOutcome, type Submission } from "../ingest/submission.ts";
import { applyStatement, refusals } from "./apply-statement.ts";
import type { ReadCall } from "./read-call.ts";

/** Of one submission, so that others of the organisation have their turn in between. */
const RUN_CALLS_MAX = 1000;

/** What became of each call, in their order. */
export type CallOutcomes = readonly EventOutcome[];

export interface CommitOptions {
  readonly kind: "single" | "batch";
  /** Keeps the answer to all calls, in the transaction of the last ones. */
  readonly settle: Submission["settle"];
}

/**
 * Rejects when a call could not be tried, as for lack of room: those before it stay, and their message ids keep
 * them from counting again.
 */
export async function commitCalls(
  deps: EventsDeps,
  context: CallContext,
  calls: readonly ReadCall[],
  { kind, settle }: CommitOptions,
): Promise<CallOutcomes> {
  const { organizationId, traceParent } = context;
  const outcomes: EventOutcome[] = [];
  for (const { run, statement, isLast } of runsOf(calls)) {
    const before = [...outcomes];
    const submission = createSubmission(
      organizationId,
      run.map(({ event }) => event),
      {
        traceParent,
        settle: isLast && settle ? (trx, own) => settle(trx, [...before, ...own]) : undefined,
        ...(statement && { prepare: applyStatement(deps, context, statement) }),
      },
    );
    if (statement === undefined) outcomes.push(...(await deps.ingest.submit(submission, kind)));
    else outcomes.push(...(await refusable(deps.ingest.submitAlone(submission, kind))));
  }
  return outcomes;
}

/** Whether the call's event is there, or was before it was erased. */
export function wasTaken(outcome: EventOutcome): boolean {
  if (outcome.status !== "rejected") return true;
  // The id alone decides: what else a repeated call says does not matter any more.
  return outcome.error.reason === "EVENT_CONFLICT" || outcome.error.reason === "EVENT_ERASED";
}

/** A statement that is refused is its call's outcome; any other failure is everybody's. */
async function refusable(committed: Promise<CallOutcomes>): Promise<CallOutcomes> {
  try {
    return await committed;
  } catch (error) {
    if (error instanceof AppError && refusals.has(error.reason)) return [{ status: "rejected", error }];
    throw error;
  }
}

interface Run {
  readonly run: readonly ReadCall[];
  readonly statement: ReadCall["statement"];
  readonly isLast: boolean;
}

function* runsOf(calls: readonly ReadCall[]): Generator<Run> {
  for (let start = 0; start < calls.length; ) {
    let end = start + 1;
    const statement = calls[start]?.statement;
    if (statement === undefined) {
      while (end < calls.length && end - start < RUN_CALLS_MAX && calls[end]?.statement === undefined)
        end += 1;
    }
    yield { run: calls.slice(start, end), statement, isLast: end === calls.length };
    start = end;
  }
}
