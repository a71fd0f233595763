// RecordTrackedUserEvent records an event of the event catalog for a tracked user, once per user, type and
// timestamp.
import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type BehaviorService,
  type RecordTrackedUserEventRequest,
  RecordTrackedUserEventResponseSchema,
} from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "../catalog/catalog.ts";
import { LAST_INSTANT_MS } from "../event-storage/tracked-event.ts";
import { readSentEvent, type SentEvent } from "../ingest/read-event-input.ts";
import { responseSaver } from "../ingest/response-saver.ts";
import { createSubmission, type EventOutcome } from "../ingest/submission.ts";

const RECORDED = "User events recorded Successfully";

export function recordTrackedUserEvent(
  deps: CatalogDeps,
): UnaryHandler<typeof BehaviorService.method.recordTrackedUserEvent> {
  return async (request, context) => {
    const { organizationId } = context;
    const type = await deps.catalog.find(deps.database.reader, organizationId, request.eventType);
    if (type === undefined) throw invalidField("event_type", "is not in the event catalog");
    const event = readSentEvent(toEvent(request), {
      organizationId,
      nowMs: deps.clock.nowMs(),
      ids: deps.ids,
      fieldPrefix: "",
    });
    if (event instanceof AppError) throw event;
    const submission = createSubmission(organizationId, [event], {
      traceParent: context.traceParent,
      saveResponse: responseSaver(context, ([outcome]) =>
        outcome?.status === "stored" ? toResponse(outcome) : undefined,
      ),
    });
    const [outcome] = await deps.ingest.submit(submission, "single");
    if (outcome?.status === "stored") return toResponse(outcome);
    if (outcome === undefined) throw new AppError("INTERNAL");
    throw isRepeat(outcome) ? new AppError("USER_EVENT_EXISTS") : outcome.error;
  };
}

type StoredOutcome = Extract<EventOutcome, { status: "stored" }>;

function toResponse({ event }: StoredOutcome) {
  return create(RecordTrackedUserEventResponseSchema, { message: RECORDED, id: event.id });
}

/**
 * The event id is a hash of the whole content. An event with the same id is the same event, even after a
 * merge.
 */
function isRepeat(
  outcome: Exclude<EventOutcome, StoredOutcome>,
): outcome is Extract<EventOutcome, { status: "duplicate" }> {
  if (outcome.status === "duplicate") return true;
  return outcome.error.reason === "EVENT_CONFLICT" || outcome.error.reason === "EVENT_ERASED";
}

function toEvent({ userId, eventType, timestamp = 0n }: RecordTrackedUserEventRequest): SentEvent {
  const identity = JSON.stringify([userId, eventType, String(timestamp)]);
  return {
    identityKind: "user_id",
    identity: userId,
    name: eventType,
    properties: JSON.stringify({ timestamp: Number(timestamp) }),
    timestamp: timestampFromMs(Math.min(Number(timestamp), LAST_INSTANT_MS)),
    // A hash, because the three values together can exceed the length of an id.
    eventId: `user-event-${hash("sha256", identity, "hex")}`,
  };
}
