// RecordEvent and RecordProfileEvent record one event each, in a commit shared with concurrent requests.
import { create, type Message } from "@bufbuild/protobuf";
import {
  type EventService,
  RecordEventResponseSchema,
  RecordProfileEventRequestSchema,
  RecordProfileEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import type { ProfileId } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import type { CallContext, UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { eventToProto } from "../event-storage/event-proto.ts";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import {
  type EventReadOptions,
  eventTooLargeError,
  isTooLarge,
  readEventInput,
  readSentEvent,
} from "../ingest/read-event-input.ts";
import { createSubmission, type EventOutcome, type SubmittedEvent } from "../ingest/submission.ts";

export function recordEvent(deps: EventsDeps): UnaryHandler<typeof EventService.method.recordEvent> {
  return async (request, context) => {
    if (request.event === undefined) throw invalidField("event", "is required");
    const read = readEventInput(request.event, readerOf(deps, context, "event."));
    return record(deps, context, read, (event) =>
      create(RecordEventResponseSchema, { event: eventToProto(event) }),
    );
  };
}

export function recordProfileEvent(
  deps: EventsDeps,
): UnaryHandler<typeof EventService.method.recordProfileEvent> {
  return async (request, context) => {
    const sent = {
      identityKind: "profile_id" as const,
      identity: request.profileId,
      name: request.name,
      properties: request.properties,
      timestamp: request.timestamp,
      eventId: request.eventId,
    };
    const read = isTooLarge(RecordProfileEventRequestSchema, request, sent)
      ? eventTooLargeError()
      : readSentEvent(sent, readerOf(deps, context, ""));
    return record(deps, context, read, (event) =>
      create(RecordProfileEventResponseSchema, { event: eventToProto(event) }),
    );
  };
}

function readerOf(deps: EventsDeps, context: CallContext, fieldPrefix: string): EventReadOptions {
  return {
    organizationId: context.organizationId,
    nowMs: deps.clock.nowMs(),
    ids: deps.ids,
    fieldPrefix,
  };
}

async function record<Response extends Message>(
  deps: EventsDeps,
  context: CallContext,
  read: SubmittedEvent | AppError,
  responseOf: (event: TrackedEvent) => Response,
): Promise<Response> {
  if (read instanceof AppError) throw read;
  const submission = createSubmission(context.organizationId, [read], {
    traceParent: context.traceParent,
    saveResponse: responseSaver(context, ([outcome]) =>
      outcome === undefined || outcome.status === "rejected" ? undefined : responseOf(outcome.event),
    ),
  });
  const [outcome] = await deps.ingest.submit(submission, "single");
  if (outcome === undefined) throw new AppError("INTERNAL");
  if (outcome.status === "rejected") throw outcome.error;
  return responseOf(outcome.event);
}

/** Saves the response in the transaction of the events, for calls with an idempotency key only. */
export function responseSaver(
  context: CallContext,
  responseOf: (outcomes: readonly EventOutcome[]) => Message | undefined,
) {
  if (!context.requestHeaders.has("idempotency-key")) return undefined;
  return async (trx: Parameters<CallContext["saveResponse"]>[0], outcomes: readonly EventOutcome[]) => {
    const response = responseOf(outcomes);
    if (response !== undefined) await context.saveResponse(trx, response, { subjects: subjectsOf(outcomes) });
  };
}

/** Returns the profiles of the events, also for responses without profile ids, so that erasure finds them. */
function subjectsOf(outcomes: readonly EventOutcome[]): ProfileId[] {
  return outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [] : [outcome.event.profileId, outcome.event.rootId],
  );
}
