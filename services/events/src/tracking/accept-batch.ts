// Validates the calls of a batch independently, commits the valid calls in order and counts the others.
import type { MessageShape } from "@bufbuild/protobuf";
import type { ItemError } from "@muster/contracts/muster/errors/v1/error_pb";
import type {
  BatchResponseSchema,
  ImportResponseSchema,
  TrackingCall,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { WorkBudget } from "@muster/core";
import { AppError, type FieldError, invalidField } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { RepeatableCall } from "../ingest/repeated-calls.ts";
import { responseSaver } from "../ingest/response-saver.ts";
import { clientClock, trustedClock } from "../tracking-calls/client-clock.ts";
import { parseClientInstant } from "../tracking-calls/instant-text.ts";
import { INSTANT_PROBLEM, type ReadCall, readCall, withFieldPrefix } from "../tracking-calls/read-call.ts";
import { type CallOutcomes, commitCalls, wasAccepted } from "./commit-calls.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

/** Maximum number of problems in an error. Further problems appear after the client has fixed these. */
const PROBLEMS_MAX = 20;

/** Estimated processor time to read one call, in units of a budget. */
const CALL_UNITS = 40;

/** A batch of calls; `unreadable` lists the calls that the gateway could not parse. */
export interface Batch {
  readonly calls: readonly TrackingCall[];
  readonly unreadable: readonly ItemError[];
  readonly sentAt: string;
  readonly correctsClock: boolean;
}

type Success = MessageShape<typeof BatchResponseSchema> | MessageShape<typeof ImportResponseSchema>;

/** Throws FIELD_INVALID if no call of the batch is valid. */
export async function acceptBatch<CallResponse extends Success>(
  deps: TrackingDeps,
  context: CallContext,
  sent: Batch,
  call: RepeatableCall,
  success: CallResponse,
): Promise<CallResponse> {
  if (sent.sentAt !== "" && parseClientInstant(sent.sentAt) === undefined) {
    throw invalidField("sent_at", INSTANT_PROBLEM);
  }
  const { valid, problems } = await readBatch(deps, context, sent, call);
  const saveResponse = responseSaver(context, (outcomes) =>
    outcomes.some(wasAccepted) ? success : undefined,
  );
  const options = { kind: "batch", saveResponse, saveSeed: call.saveSeed } as const;
  const outcomes = await commitCalls(
    deps,
    context,
    valid.map(({ call }) => call),
    options,
  );
  problems.push(...rejectedOf(valid, outcomes));
  deps.trackingMetrics.rejected(problems.length);
  if (outcomes.some(wasAccepted)) return success;
  throw noCallAcceptedError(problems);
}

interface IndexedCall {
  readonly index: number;
  readonly call: ReadCall;
}

/** The field errors of a rejected call. */
interface Problem {
  readonly index: number;
  readonly fields: readonly FieldError[];
}

async function readBatch(
  deps: TrackingDeps,
  context: CallContext,
  { calls, unreadable, sentAt, correctsClock }: Batch,
  { nowMs, ids, repeatsIds }: RepeatableCall,
): Promise<{ readonly valid: IndexedCall[]; readonly problems: Problem[] }> {
  const problems = unreadable.map(({ index, field, message }): Problem => {
    if (index < 0 || index >= calls.length)
      throw invalidField("unreadable_calls", "names no call of the batch");
    const path = field === "" || field.startsWith("[") ? field : `.${field}`;
    return { index, fields: [{ field: `batch[${index}]${path}`, message }] };
  });
  const skipped = new Set(problems.map(({ index }) => index));
  const reader = {
    organizationId: context.organizationId,
    nowMs,
    ids,
    repeatsIds,
    clientClock: correctsClock
      ? clientClock({ calls, sentAt, nowMs, offsetMinMs: deps.clockOffsetMs })
      : trustedClock(nowMs),
    placeholderIds: deps.placeholderIds,
    onPlaceholder: () => deps.trackingMetrics.linkSkipped("placeholder_id"),
  };
  const budget = WorkBudget.inSlices({ clock: deps.clock, signal: context.signal });
  const valid: IndexedCall[] = [];
  for (const [index, call] of calls.entries()) {
    if (skipped.has(index)) continue;
    budget.spend(CALL_UNITS);
    if (budget.isSliceOver) await budget.turn();
    const read = readCall(call, call.type, { ...reader, fieldPrefix: `batch[${index}].` });
    if (read instanceof AppError) problems.push(problemOf(index, read));
    else valid.push({ index, call: read });
  }
  return { valid, problems };
}

function rejectedOf(calls: readonly IndexedCall[], outcomes: CallOutcomes): Problem[] {
  return calls.flatMap(({ index }, position) => {
    const outcome = outcomes[position];
    if (outcome?.status !== "rejected" || wasAccepted(outcome)) return [];
    return [problemOf(index, withFieldPrefix(outcome.error, `batch[${index}].`))];
  });
}

/** An error without field names becomes an error of the whole call. */
function problemOf(index: number, { fields, message }: AppError): Problem {
  return { index, fields: fields.length > 0 ? fields : [{ field: `batch[${index}]`, message }] };
}

function noCallAcceptedError(problems: Problem[]): AppError {
  problems.sort((a, b) => a.index - b.index);
  const fields = problems.flatMap((problem) => problem.fields).slice(0, PROBLEMS_MAX);
  const [first] = fields;
  return new AppError("FIELD_INVALID", {
    ...(first && { message: `${first.field}: ${first.message}` }),
    fields,
  });
}
