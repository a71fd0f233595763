// Converts a sent event to a submitted event or to an error. Single events, batches and streams share these
// functions.
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type EventInput, EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { EVENT_BYTES_MAX, type IdSource, type OrganizationId } from "@muster/core";
import { AppError, type FieldError } from "@muster/errors";
import { validateMessage } from "@muster/rpc";
import { msOfTimestamp } from "../event-storage/event-proto.ts";
import { datedEventId } from "../event-storage/tracked-event.ts";
import { jsonObjectProblem } from "../json/json-object.ts";
import type { EventIdentityKind, SubmittedEvent } from "./submission.ts";

/** Estimated bytes of an event's row and message without its texts. */
export const ROW_OVERHEAD_BYTES = 160;

/** The common fields of all request forms of an event. */
export interface SentEvent {
  readonly identityKind: EventIdentityKind;
  readonly identity: string;
  readonly name: string;
  readonly properties: string | undefined;
  readonly timestamp: Timestamp | undefined;
  readonly eventId: string | undefined;
}

/** The call that sends the event. */
export interface EventReadOptions {
  readonly organizationId: OrganizationId;
  readonly nowMs: number;
  readonly ids: IdSource;
  /** Whether a repetition of the call yields the same ids. */
  readonly repeatsIds?: boolean;
  /** Prefix of field names in errors, for example "event.". */
  readonly fieldPrefix: string;
}

/** Validates and reads one event of a batch or stream. The validate interceptor skips these events. */
export function readBatchedEvent(
  input: EventInput | undefined,
  reader: EventReadOptions,
): SubmittedEvent | AppError {
  if (input === undefined) return invalidFieldsError([{ field: "event", message: "is required" }]);
  const violations = validateMessage(EventInputSchema, input);
  if (violations.length > 0) return invalidFieldsError(violations);
  return readEventInput(input, reader);
}

/** Reads an event that the validate interceptor has validated. */
export function readEventInput(input: EventInput, reader: EventReadOptions): SubmittedEvent | AppError {
  const { identity } = input;
  if (identity.case === undefined) return invalidFieldsError([{ field: "identity", message: "is required" }]);
  const sent: SentEvent = {
    identityKind: identityKinds[identity.case],
    identity: identity.value,
    name: input.name,
    properties: input.properties,
    timestamp: input.timestamp,
    eventId: input.eventId,
  };
  return isTooLarge(EventInputSchema, input, sent) ? eventTooLargeError() : readSentEvent(sent, reader);
}

const identityKinds = {
  userId: "user_id",
  anonymousId: "anonymous_id",
  profileId: "profile_id",
} as const;

/** Whether the encoded message exceeds the limit. Encodes only if the lengths of the texts do not decide. */
export function isTooLarge<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  sent: SentEvent,
): boolean {
  const characters =
    sent.identity.length + sent.name.length + (sent.properties?.length ?? 0) + (sent.eventId?.length ?? 0);
  if (characters * 3 + ROW_OVERHEAD_BYTES <= EVENT_BYTES_MAX) return false;
  return characters > EVENT_BYTES_MAX || toBinary(schema, message).length > EVENT_BYTES_MAX;
}

/** Returns TOO_LARGE with the limit of an encoded event. */
export function eventTooLargeError(): AppError {
  return new AppError("TOO_LARGE", {
    message: `An event is at most ${EVENT_BYTES_MAX} bytes.`,
    details: { limit_bytes: String(EVENT_BYTES_MAX) },
  });
}

/** Converts a sent event of valid size, or returns FIELD_INVALID with all field errors. */
export function readSentEvent(sent: SentEvent, reader: EventReadOptions): SubmittedEvent | AppError {
  const properties = sent.properties ?? "{}";
  const occurredMs = sent.timestamp === undefined ? reader.nowMs : msOfTimestamp(sent.timestamp);
  const problem = jsonObjectProblem(properties);
  if (problem !== undefined || occurredMs === undefined || !hasWellFormedTexts(sent)) {
    return invalidFieldsError(fieldProblems(sent, problem, occurredMs, reader.fieldPrefix));
  }
  const isDated = sent.timestamp !== undefined;
  return {
    identityKind: sent.identityKind,
    identity: sent.identity,
    name: sent.name,
    properties,
    occurredMs,
    receivedMs: reader.nowMs,
    clientEventId: sent.eventId,
    repeatedBy: repeatedBy(sent, reader),
    id:
      isDated && sent.eventId !== undefined
        ? datedEventId(reader.organizationId, sent.eventId, occurredMs)
        : reader.ids.next(occurredMs),
    bytes: ROW_OVERHEAD_BYTES + Buffer.byteLength(properties) + 3 * (sent.name.length + sent.identity.length),
  };
}

function repeatedBy(
  { eventId, timestamp }: SentEvent,
  { repeatsIds = false }: EventReadOptions,
): SubmittedEvent["repeatedBy"] {
  if (eventId === undefined) return repeatsIds ? "id" : undefined;
  return timestamp === undefined ? "client_id" : "id";
}

function hasWellFormedTexts(sent: SentEvent): boolean {
  return sent.identity.isWellFormed() && sent.name.isWellFormed() && (sent.eventId?.isWellFormed() ?? true);
}

function fieldProblems(
  sent: SentEvent,
  propertiesProblem: string | undefined,
  occurredMs: number | undefined,
  prefix: string,
): FieldError[] {
  const fields: FieldError[] = [];
  const add = (field: string, message: string): void => {
    fields.push({ field: `${prefix}${field}`, message });
  };
  const unicode = "must be valid Unicode";
  if (!sent.identity.isWellFormed()) add(sent.identityKind, unicode);
  if (!sent.name.isWellFormed()) add("name", unicode);
  if (propertiesProblem !== undefined) add("properties", propertiesProblem);
  if (occurredMs === undefined) add("timestamp", "must lie between the years 0001 and 9999");
  if (sent.eventId?.isWellFormed() === false) add("event_id", unicode);
  return fields;
}

/** Returns FIELD_INVALID with at most 20 field errors; the message contains the first. */
export function invalidFieldsError(fields: readonly FieldError[]): AppError {
  const [first] = fields;
  return new AppError("FIELD_INVALID", {
    ...(first && { message: `${first.field}: ${first.message}` }),
    fields: fields.slice(0, 20),
  });
}
