// Converts event types to messages and validates written event types.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EventTypeSchema } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { AppError } from "@muster/errors";
import {
  type EventType,
  type EventTypeInput,
  eventTypeOf,
  eventTypeProblems,
  priceOf,
} from "./event-type.ts";

export function eventTypeToProto(type: EventType): MessageInitShape<typeof EventTypeSchema> {
  return { name: type.name, description: type.description, price: priceOf(type) };
}

/** Throws FIELD_INVALID with each invalid field. */
export function requireEventType(input: EventTypeInput, fieldPrefix = ""): EventType {
  const fields = eventTypeProblems(input).map(({ field, message }) => ({
    field: `${fieldPrefix}${field}`,
    message,
  }));
  const [first] = fields;
  if (first === undefined) return eventTypeOf(input);
  throw new AppError("FIELD_INVALID", { message: `${first.field}: ${first.message}`, fields });
}
