// Reads and commits a single call and returns the response.
import type { Message } from "@bufbuild/protobuf";
import type { TrackingCall } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { responseSaver } from "../ingest/response-saver.ts";
import type { EventOutcome } from "../ingest/submission.ts";
import type { CallType } from "../tracking-calls/call-types.ts";
import { clientClock } from "../tracking-calls/client-clock.ts";
import { readCall, withFieldPrefix } from "../tracking-calls/read-call.ts";
import { commitCalls, wasAccepted } from "./commit-calls.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

/** A call with a route of its own, and the response to the call. */
export interface SingleCall<CallResponse extends Message> {
  readonly call: TrackingCall;
  readonly type: CallType;
  /** Prefix of field names in errors. */
  readonly fieldPrefix: string;
  /** Returns the response to a call that was accepted now or earlier. */
  readonly responseOf: (outcome: EventOutcome) => CallResponse;
}

/** Commits the call. Throws the error of an invalid or rejected call; a repeated call succeeds. */
export async function takeCall<CallResponse extends Message>(
  deps: TrackingDeps,
  context: CallContext,
  { call, type, fieldPrefix, responseOf }: SingleCall<CallResponse>,
): Promise<CallResponse> {
  const nowMs = deps.clock.nowMs();
  const read = readCall(call, type, {
    organizationId: context.organizationId,
    nowMs,
    ids: deps.ids,
    clientClock: clientClock({ calls: [call], sentAt: "", nowMs, offsetMinMs: deps.clockOffsetMs }),
    placeholderIds: deps.placeholderIds,
    onPlaceholder: () => deps.trackingMetrics.linkSkipped("placeholder_id"),
    fieldPrefix,
  });
  if (read instanceof AppError) throw read;
  const saveResponse = responseSaver(context, ([outcome]) =>
    outcome !== undefined && wasAccepted(outcome) ? responseOf(outcome) : undefined,
  );
  const [outcome] = await commitCalls(deps, context, [read], { kind: "single", saveResponse });
  if (outcome === undefined) throw new AppError("INTERNAL");
  if (outcome.status === "rejected" && !wasAccepted(outcome))
    throw withFieldPrefix(outcome.error, fieldPrefix);
  return responseOf(outcome);
}
