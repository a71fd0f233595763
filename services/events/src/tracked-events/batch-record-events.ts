// BatchRecordEvents records up to 5,000 events, in one transaction or in several, and returns a result for each
// event.
import { create } from "@bufbuild/protobuf";
import type { ItemError } from "@muster/contracts/muster/errors/v1/error_pb";
import {
  type BatchRecordEventsRequest,
  BatchRecordEventsRequestSchema,
  type BatchRecordEventsResponse,
  BatchRecordEventsResponseSchema,
  type EventResult,
  EventResultSchema,
  EventResultStatus,
  type EventService,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { WorkBudget } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import { type CallContext, errorToProto, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { readBatchedEvent } from "../ingest/read-event-input.ts";
import type { RepeatableCall } from "../ingest/repeated-calls.ts";
import { responseSaver } from "../ingest/response-saver.ts";
import { createSubmission, type EventOutcome, type SubmittedEvent } from "../ingest/submission.ts";

/** Estimated processor time to read one event, in units of a budget. */
const EVENT_UNITS = 20;

export function batchRecordEvents(
  deps: EventsDeps,
): UnaryHandler<typeof EventService.method.batchRecordEvents> {
  return async (request, context) => {
    const call = await deps.repeatedCalls.begin(context, BatchRecordEventsRequestSchema, request);
    const batch = await readBatch(deps, request, context, call);
    if (batch.valid.length === 0) return respond(request, batch, []);
    const submission = createSubmission(context.organizationId, batch.valid, {
      traceParent: context.traceParent,
      saveSeed: call.saveSeed,
      saveResponse: responseSaver(context, (outcomes) => respond(request, batch, outcomes)),
    });
    return respond(request, batch, await deps.ingest.submit(submission, "batch"));
  };
}

interface ReadBatch {
  readonly valid: readonly SubmittedEvent[];
  /** Rejected events by index; all other events are valid. */
  readonly rejected: ReadonlyMap<number, AppError>;
}

async function readBatch(
  deps: EventsDeps,
  request: BatchRecordEventsRequest,
  context: CallContext,
  { nowMs, ids, repeatsIds }: RepeatableCall,
): Promise<ReadBatch> {
  const rejected = unreadable(request.unreadableEvents, request.events.length);
  const reader = { organizationId: context.organizationId, nowMs, ids, repeatsIds, fieldPrefix: "" };
  const valid: SubmittedEvent[] = [];
  const budget = WorkBudget.inSlices({ clock: deps.clock, signal: context.signal });
  for (const [index, event] of request.events.entries()) {
    if (rejected.has(index)) continue;
    budget.spend(EVENT_UNITS);
    if (budget.isSliceOver) await budget.turn();
    const read = readBatchedEvent(event, reader);
    if (read instanceof AppError) rejected.set(index, read);
    else valid.push(read);
  }
  return { valid, rejected };
}

/**
 * Errors of events that the gateway could not parse. The list of events holds an empty event at each index.
 */
function unreadable(errors: readonly ItemError[], eventCount: number): Map<number, AppError> {
  const rejected = new Map<number, AppError>();
  for (const { index, field, message } of errors) {
    if (index < 0 || index >= eventCount)
      throw invalidField("unreadable_events", "names no event of the batch");
    if (rejected.has(index)) continue;
    rejected.set(
      index,
      new AppError("REQUEST_MALFORMED", {
        message: field === "" ? message : `${field}: ${message}`,
        fields: field === "" ? [] : [{ field, message }],
      }),
    );
  }
  return rejected;
}

function respond(
  request: BatchRecordEventsRequest,
  batch: ReadBatch,
  outcomes: readonly EventOutcome[],
): BatchRecordEventsResponse {
  let next = 0;
  const results = request.events.map((event, index) => {
    const error = batch.rejected.get(index);
    const outcome = error === undefined ? outcomes[next++] : ({ status: "rejected", error } as const);
    return resultOf(index, event.eventId, outcome);
  });
  return create(BatchRecordEventsResponseSchema, { results });
}

function resultOf(
  index: number,
  eventId: string | undefined,
  outcome: EventOutcome | undefined,
): EventResult {
  const result = create(EventResultSchema);
  result.index = index;
  if (eventId !== undefined) result.eventId = eventId;
  if (outcome === undefined) throw new AppError("INTERNAL");
  if (outcome.status === "rejected") {
    result.status = EventResultStatus.REJECTED;
    result.error = errorToProto(outcome.error);
    return result;
  }
  result.status = outcome.status === "stored" ? EventResultStatus.STORED : EventResultStatus.DUPLICATE;
  result.id = outcome.event.id;
  result.profileId = outcome.event.rootId;
  return result;
}
