// RecordProfileEvent records one event of an existing profile.
import { create } from "@bufbuild/protobuf";
import {
  type EventService,
  RecordProfileEventRequestSchema,
  RecordProfileEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import { eventToProto } from "../event-storage/event-proto.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { eventTooLargeError, isTooLarge, readSentEvent } from "../ingest/read-event-input.ts";
import { eventReadOptions, recordSingleEvent } from "./record-single-event.ts";

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
      : readSentEvent(sent, eventReadOptions(deps, context, ""));
    return recordSingleEvent(deps, context, read, (event) =>
      create(RecordProfileEventResponseSchema, { event: eventToProto(event) }),
    );
  };
}
