// Page accepts two forms of page views: the SDK form, and the short form that returns the new event's id and
// has no message id, so that every request counts.
import { create } from "@bufbuild/protobuf";
import {
  type PageRequest,
  PageResponseSchema,
  type TrackingCall,
  TrackingCallSchema,
  type TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { parseInstant } from "../tracking-calls/instant-text.ts";
import { takeCall } from "./take-call.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

/** Response metadata that replaces the success status of the REST response. */
const HTTP_STATUS_METADATA = "muster-http-status";

export function page(deps: TrackingDeps): UnaryHandler<typeof TrackingService.method.page> {
  return async (request, context) => {
    const form = { type: "page", fieldPrefix: "" } as const;
    if (!isShort(request)) {
      const result = create(PageResponseSchema, { result: { case: "success", value: true } });
      return takeCall(deps, context, { ...form, call: sdkCallOf(request), responseOf: () => result });
    }
    const call = shortCallOf(request);
    context.responseHeaders.set(HTTP_STATUS_METADATA, "201");
    return takeCall(deps, context, {
      ...form,
      call,
      responseOf: (outcome) => {
        if (outcome.status === "rejected") throw new AppError("INTERNAL", { cause: outcome.error });
        return create(PageResponseSchema, { result: { case: "eventId", value: outcome.event.id } });
      },
    });
  };
}

function isShort({ userId, sdkUserId, sdkAnonymousId, sdkMessageId }: PageRequest): boolean {
  return userId !== undefined && sdkUserId === "" && sdkAnonymousId === "" && sdkMessageId === "";
}

function shortCallOf({ userId = "", name, timestamp }: PageRequest): TrackingCall {
  if (userId === "") throw invalidField("user_id", "must not be empty");
  if (name === "") throw invalidField("name", "is required");
  if (timestamp !== "" && parseInstant(timestamp) === undefined) {
    throw invalidField("timestamp", "must be an RFC 3339 time, such as 2019-10-01T00:00:00.000Z");
  }
  return create(TrackingCallSchema, { userId, name, timestamp });
}

function sdkCallOf(request: PageRequest): TrackingCall {
  const { name, category, properties, timestamp, originalTimestamp, sentAt } = request;
  return create(TrackingCallSchema, {
    name,
    category,
    timestamp,
    originalTimestamp,
    sentAt,
    userId: request.sdkUserId,
    anonymousId: request.sdkAnonymousId,
    messageId: request.sdkMessageId,
    ...(properties !== undefined && { properties }),
  });
}
