// Maps each reason to its code and HTTP status. docs/errors.md is generated from this table.
import type { Reason } from "@muster/contracts/muster/errors/v1/reason_pb";
import type { CodeName } from "./codes.ts";

/** A reason without its enum prefix, as in REST envelopes and in google.rpc.ErrorInfo. */
export type ReasonName = Exclude<keyof typeof Reason, "UNSPECIFIED">;

export interface ReasonRow {
  readonly code: CodeName;
  readonly http: number;
  /** Sent when the thrown error has no message of its own. */
  readonly message: string;
  /** Details that hold a list. Commas separate the items; REST renders an array. */
  readonly lists?: readonly string[];
  /** Details that hold a number; REST renders a number. */
  readonly numbers?: readonly string[];
}

export const reasonTable = {
  REQUEST_MALFORMED: { code: "invalid_argument", http: 400, message: "The request is malformed." },
  FIELD_INVALID: {
    code: "invalid_argument",
    http: 400,
    message: "A field is invalid.",
    numbers: ["position"],
  },
  PAGE_TOKEN_INVALID: {
    code: "invalid_argument",
    http: 400,
    message: "The page token is not one of this list.",
  },
  POSITION_INVALID: {
    code: "invalid_argument",
    http: 400,
    message: "The position is not one of this installation.",
  },
  UNAUTHENTICATED: { code: "unauthenticated", http: 401, message: "Valid credentials are required." },
  PERMISSION_DENIED: { code: "permission_denied", http: 403, message: "The credential does not allow this." },
  ROUTE_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such route." },
  METHOD_NOT_ALLOWED: { code: "unimplemented", http: 405, message: "The path does not take this method." },
  TOO_LARGE: { code: "resource_exhausted", http: 413, message: "The request is too large." },
  MEDIA_TYPE_UNSUPPORTED: { code: "invalid_argument", http: 415, message: "Send application/json." },
  PROFILE_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such profile." },
  PROFILE_IDENTITY_TAKEN: {
    code: "already_exists",
    http: 409,
    message: "Another profile has this identity.",
  },
  EVENT_CONFLICT: {
    code: "already_exists",
    http: 409,
    message: "This event id and timestamp were recorded before with other content.",
  },
  SEGMENT_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such segment." },
  SEGMENT_NAME_TAKEN: { code: "already_exists", http: 409, message: "A segment of this name exists." },
  SEGMENT_LIMIT_REACHED: {
    code: "failed_precondition",
    http: 400,
    message: "The organization has as many segments as it may.",
  },
  SEGMENT_IN_USE: { code: "failed_precondition", http: 409, message: "Other segments name this segment." },
  SEGMENT_VERSION_STALE: {
    code: "aborted",
    http: 409,
    message: "The segment's rule was changed meanwhile; read it again.",
  },
  USER_EVENT_EXISTS: { code: "already_exists", http: 409, message: "User event already exists" },
  EVENT_TYPE_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such event type." },
  EVENT_TYPE_EXISTS: { code: "already_exists", http: 409, message: "An event type of this name exists." },
  EVENT_TYPE_LIMIT_REACHED: {
    code: "failed_precondition",
    http: 400,
    message: "The catalog has as many event types as it may.",
  },
  ALERT_RULE_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such alert rule." },
  ALERT_RULE_CODE_TAKEN: { code: "already_exists", http: 409, message: "Another alert rule has this code." },
  ALERT_RULE_LIMIT_REACHED: {
    code: "failed_precondition",
    http: 400,
    message: "The organization has as many alert rules as it may.",
  },
  PROFILE_NOT_MERGED: {
    code: "failed_precondition",
    http: 409,
    message: "The profile is not merged into another.",
  },
  PROFILE_MERGED_BEFORE: {
    code: "failed_precondition",
    http: 409,
    message: "The two profiles are merged already.",
  },
  MERGE_LIMIT_REACHED: {
    code: "failed_precondition",
    http: 400,
    message: "The profile has as many merged profiles as it may.",
  },
  EVENT_ERASED: {
    code: "failed_precondition",
    http: 409,
    message: "This event was erased with its profile; it is not recorded again.",
  },
  ERASURE_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such erasure." },
  RETENTION_TOO_SHORT: {
    code: "failed_precondition",
    http: 409,
    message: "Rules of segments look further back than events would be kept.",
  },
  API_KEY_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such API key." },
  API_KEY_ROTATED: {
    code: "failed_precondition",
    http: 409,
    message: "The API key was rotated before; rotate its successor.",
  },
  ORGANIZATION_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such organization." },
  IDEMPOTENCY_KEY_REUSED: {
    code: "failed_precondition",
    http: 422,
    message: "The idempotency key was used with another body.",
  },
  IDEMPOTENCY_IN_PROGRESS: {
    code: "aborted",
    http: 409,
    message: "A request with this idempotency key is still running.",
  },
  NOT_YET_CONSISTENT: {
    code: "unavailable",
    http: 503,
    message: "The read could not include every acknowledged write in time; try again.",
  },
  OVERLOADED: { code: "resource_exhausted", http: 429, message: "Too much is waiting; try again later." },
  SESSION_ENDED: { code: "unauthenticated", http: 401, message: "The session has ended; log in again." },
  LOGIN_FAILED: {
    code: "unauthenticated",
    http: 401,
    message: "The email address or the password is wrong.",
  },
  LOGIN_LOCKED: {
    code: "resource_exhausted",
    http: 429,
    message: "There were too many failed attempts; wait, or use the link of the unlock mail.",
  },
  EMAIL_NOT_VERIFIED: {
    code: "permission_denied",
    http: 403,
    message: "The email address is not verified yet; use the link of the mail.",
  },
  PASSWORD_RESET_REQUIRED: {
    code: "permission_denied",
    http: 403,
    message: "A new password is required; ask for a reset by mail.",
  },
  TWO_FACTOR_REQUIRED: {
    code: "unauthenticated",
    http: 401,
    message: "A code of the second factor is required.",
  },
  TWO_FACTOR_LOCKED: {
    code: "resource_exhausted",
    http: 429,
    message: "There were too many wrong codes; wait.",
  },
  TWO_FACTOR_ENABLED: {
    code: "failed_precondition",
    http: 409,
    message: "The account has a second factor already.",
  },
  TWO_FACTOR_NOT_ENABLED: {
    code: "failed_precondition",
    http: 409,
    message: "The account has no second factor.",
  },
  CODE_INVALID: {
    code: "unauthenticated",
    http: 401,
    message: "The code or the challenge is wrong or no longer valid.",
  },
  CREDENTIALS_INVALID: {
    code: "permission_denied",
    http: 403,
    message: "The password or the code is wrong.",
  },
  STEP_UP_REQUIRED: {
    code: "permission_denied",
    http: 403,
    message: "Enter the password or a code of the second factor again.",
    lists: ["methods"],
  },
  ORGANIZATION_REQUIRED: {
    code: "permission_denied",
    http: 403,
    message: "The access token is for no organization; switch to one.",
  },
  TOKEN_INVALID: {
    code: "invalid_argument",
    http: 400,
    message: "The link is not valid or no longer valid; ask for a new one.",
  },
  EMAIL_TAKEN: { code: "already_exists", http: 409, message: "Another account has this email address." },
  SESSION_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such session." },
  ORGANIZATION_LIMIT: {
    code: "failed_precondition",
    http: 409,
    message: "The user owns as many organizations as one may own.",
  },
  USER_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such user." },
  USER_EXISTS: { code: "already_exists", http: 409, message: "The user is a member of the organization." },
  USER_INVITED: {
    code: "failed_precondition",
    http: 409,
    message: "The user has not accepted the invitation yet.",
  },
  LAST_OWNER: {
    code: "failed_precondition",
    http: 409,
    message: "The organization would have no active owner; make another user an owner first.",
  },
  TWO_FACTOR_ENROLLMENT_REQUIRED: {
    code: "permission_denied",
    http: 403,
    message: "The organization requires a second factor; enroll one.",
  },
  OPERATION_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such operation." },
  EXPORT_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such export." },
  EXPORT_CLAIMED: {
    code: "failed_precondition",
    http: 410,
    message: "The export was downloaded before; request a new one.",
  },
  ALREADY_INVITED: {
    code: "already_exists",
    http: 409,
    message: "The address has a pending invitation; send the invitation again.",
  },
  INVITATION_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such invitation." },
  INVITATION_ADDRESS_MISMATCH: {
    code: "permission_denied",
    http: 403,
    message: "The invitation is for another address; sign in with the address that received the mail.",
  },
  PROVISIONING_CONFLICT: {
    code: "already_exists",
    http: 409,
    message: "The external id was used with other content; use another one.",
  },
  DELETION_REQUEST_NOT_FOUND: { code: "not_found", http: 404, message: "There is no such deletion request." },
  DELETION_REQUEST_DECIDED: {
    code: "failed_precondition",
    http: 409,
    message: "The deletion request was decided before.",
  },
  SELF_APPROVAL: {
    code: "permission_denied",
    http: 403,
    message: "The requester cannot approve the request; another caller must.",
  },
  RATE_LIMITED: { code: "resource_exhausted", http: 429, message: "There were too many requests; wait." },
  ETAG_MISMATCH: {
    code: "failed_precondition",
    http: 412,
    message: "The resource was changed meanwhile, so If-Match has no current entity tag; read it again.",
  },
  VERSION_CONFLICT: {
    code: "aborted",
    http: 409,
    message: "The resource was changed meanwhile, so the version is not the current one; read it again.",
  },
  VERSION_REQUIRED: {
    code: "failed_precondition",
    http: 428,
    message: "Send If-Match with the entity tag, or the version, of the resource as it was read.",
  },
  RANGE_NOT_SATISFIABLE: {
    code: "out_of_range",
    http: 416,
    message: "The range begins behind the end of the body.",
  },
  WORK_LIMIT_REACHED: {
    code: "failed_precondition",
    http: 400,
    message: "The request would cost more work than one request may; send a smaller one.",
  },
  UNAVAILABLE: { code: "unavailable", http: 503, message: "A part of Muster does not respond; try again." },
  DEADLINE_EXCEEDED: {
    code: "deadline_exceeded",
    http: 504,
    message: "The deadline passed before the response.",
  },
  CANCELED: { code: "canceled", http: 499, message: "The caller canceled the request." },
  UNIMPLEMENTED: { code: "unimplemented", http: 501, message: "This method is not implemented here." },
  INTERNAL: { code: "internal", http: 500, message: "Something went wrong on our side." },
} as const satisfies Record<ReasonName, ReasonRow>;
