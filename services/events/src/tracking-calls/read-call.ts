// Converts a call of a tracking SDK to a submitted event and an optional identity claim, or to an error.
// Single calls and batched calls share these functions.
import { toBinary } from "@bufbuild/protobuf";
import {
  type TrackingCall,
  TrackingCallSchema,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { EVENT_BYTES_MAX, type IdSource, type OrganizationId } from "@muster/core";
import type { AppError, FieldError } from "@muster/errors";
import { validateMessage } from "@muster/rpc";
import type { IdentityClaim } from "../identity-claims/identity-claim.ts";
import { TRAITS_BYTES_MAX } from "../identity-graph/traits.ts";
import { eventTooLargeError, invalidFieldsError, ROW_OVERHEAD_BYTES } from "../ingest/read-event-input.ts";
import type { SubmittedEvent } from "../ingest/submission.ts";
import { jsonObjectProblem } from "../json/json-object.ts";
import { type CallType, callTypes, isCallType } from "./call-types.ts";
import type { ClientClock } from "./client-clock.ts";
import { parseClientInstant, withinRange } from "./instant-text.ts";
import type { PlaceholderIds } from "./placeholder-ids.ts";

/** Maximum size of all texts of a call without `properties` and `traits`. */
const SHORT_TEXTS_BYTES_MAX = 8 * 1024;

/** The field error of an instant that does not parse. */
export const INSTANT_PROBLEM = "must be an ISO 8601 time, such as 2019-10-01T00:00:00.000Z";

/** The request that sends the call. */
export interface CallReadOptions {
  readonly organizationId: OrganizationId;
  readonly nowMs: number;
  readonly ids: IdSource;
  /** Whether a repetition of the request yields the same ids. */
  readonly repeatsIds?: boolean;
  readonly clientClock: ClientClock;
  readonly placeholderIds: PlaceholderIds;
  /** Called for a call that would link by a placeholder id. */
  readonly onPlaceholder: () => void;
  /** Prefix of field names in errors, for example "batch[3].". */
  readonly fieldPrefix: string;
}

/** A valid call. */
export interface ReadCall {
  readonly event: SubmittedEvent;
  /** Applied before the event is stored. */
  readonly claim: IdentityClaim | undefined;
}

/** Converts a call to an event, or returns TOO_LARGE or FIELD_INVALID with all field errors. */
export function readCall(call: TrackingCall, type: string, reader: CallReadOptions): ReadCall | AppError {
  const refuse = (problems: readonly FieldError[]): AppError =>
    withFieldPrefix(invalidFieldsError(problems), reader.fieldPrefix);
  if (isOversized(call)) return eventTooLargeError();
  const violations = validateMessage(TrackingCallSchema, call);
  if (violations.length > 0) return refuse(violations);
  if (!isCallType(type)) {
    return refuse([{ field: "type", message: `must be one of ${Object.keys(callTypes).join(", ")}` }]);
  }
  const time = occurredMsOf(call, reader.clientClock);
  const links = reader.placeholderIds.linkProblems(call, type);
  if (links.length > 0) reader.onPlaceholder();
  const problems = [...textProblems(call, type), ...links, ...(typeof time === "number" ? [] : [time])];
  if (problems.length > 0 || typeof time !== "number") return refuse(problems);
  const { name, properties } = callTypes[type].event(call);
  const [identityKind, identity] = identityOf(call);
  const event: SubmittedEvent = {
    identityKind,
    identity,
    name,
    properties,
    occurredMs: time,
    receivedMs: reader.nowMs,
    // A retry may have another corrected time, so only the message id identifies the call.
    ...(call.messageId === ""
      ? { clientEventId: undefined, repeatedBy: reader.repeatsIds ? "id" : undefined }
      : { clientEventId: call.messageId, repeatedBy: "client_id" }),
    id: reader.ids.next(time),
    bytes: ROW_OVERHEAD_BYTES + Buffer.byteLength(properties) + 3 * (name.length + identity.length),
  };
  const isPlaceholder = reader.placeholderIds.has(identity);
  return { event, claim: callTypes[type].claim?.(call, isPlaceholder) };
}

/** Adds a prefix to the field names of an error. */
export function withFieldPrefix(error: AppError, prefix: string): AppError {
  if (prefix === "" || error.fields.length === 0) return error;
  return invalidFieldsError(
    error.fields.map(({ field, message }) => ({ field: `${prefix}${field}`, message })),
  );
}

/** The user id takes precedence because it is more specific. */
function identityOf({ userId, anonymousId }: TrackingCall): ["user_id" | "anonymous_id", string] {
  return userId === "" ? ["anonymous_id", anonymousId] : ["user_id", userId];
}

function textProblems(call: TrackingCall, type: CallType): FieldError[] {
  const problems: FieldError[] = [];
  if (call.userId === "" && call.anonymousId === "") {
    problems.push({ field: "user_id", message: "one of user_id and anonymous_id is required" });
  }
  for (const [field, value] of callTypes[type].required(call)) {
    if (value === "") problems.push({ field, message: `is required in a call of type ${type}` });
  }
  const { userId: user_id, anonymousId: anonymous_id, messageId: message_id, previousId: previous_id } = call;
  const { groupId: group_id, event, name, category } = call;
  const texts = { user_id, anonymous_id, message_id, previous_id, group_id, event, name, category };
  for (const [field, text] of Object.entries(texts)) {
    if (!text.isWellFormed()) problems.push({ field, message: "must be valid Unicode" });
  }
  for (const field of ["properties", "traits"] as const) {
    const problem = jsonObjectProblem(call[field] ?? "{}");
    if (problem !== undefined) problems.push({ field, message: problem });
  }
  if (type === "identify" && Buffer.byteLength(call.traits ?? "") > TRAITS_BYTES_MAX) {
    problems.push({ field: "traits", message: `must be at most ${TRAITS_BYTES_MAX} bytes` });
  }
  return problems;
}

/** Returns the event time by the server's clock. */
function occurredMsOf(call: TrackingCall, { offsetMs, undatedMs }: ClientClock): number | FieldError {
  const [field, text] =
    call.timestamp === ""
      ? (["original_timestamp", call.originalTimestamp] as const)
      : (["timestamp", call.timestamp] as const);
  const sent = instantOf("sent_at", call.sentAt);
  const happened = instantOf(field, text);
  if (typeof sent === "object") return sent;
  if (typeof happened === "object") return happened;
  if (happened === undefined) return undatedMs;
  return withinRange(happened + offsetMs) ?? { field, message: "must lie in the years 0001 to 9999" };
}

/** Undefined for an empty text. */
function instantOf(field: string, text: string): number | FieldError | undefined {
  if (text === "") return undefined;
  return parseClientInstant(text) ?? { field, message: INSTANT_PROBLEM };
}

/**
 * Whether the encoded call exceeds the event limit. Encodes only if the lengths of the texts do not decide.
 */
function isOversized(call: TrackingCall): boolean {
  const characters = (call.properties?.length ?? 0) + (call.traits?.length ?? 0);
  if (characters * 3 + SHORT_TEXTS_BYTES_MAX <= EVENT_BYTES_MAX) return false;
  return characters > EVENT_BYTES_MAX || toBinary(TrackingCallSchema, call).length > EVENT_BYTES_MAX;
}
