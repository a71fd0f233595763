// RecordEvent records one event in a commit shared with concurrent requests.
import { create } from "@bufbuild/protobuf";
import {
  type EventService,
  RecordEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { eventToProto } from "../event-storage/event-proto.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { readEventInput } from "../ingest/read-event-input.ts";
import { eventReadOptions, recordSingleEvent } from "./record-single-event.ts";

export function recordEvent(deps: EventsDeps): UnaryHandler<typeof EventService.method.recordEvent> {
  return async (request, context) => {
    if (request.event === undefined) throw invalidField("event", "is required");
    const read = readEventInput(request.event, eventReadOptions(deps, context, "event."));
    return recordSingleEvent(deps, context, read, (event) =>
      create(RecordEventResponseSchema, { event: eventToProto(event) }),
    );
  };
}
