// Reads and commits a single call and returns the response.
import type { Message } from "@bufbuild/protobuf";
import type { TrackingCall } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { EventOutcome } from "../ingest/submission.ts";
import { settleOf } from "../tracked-events/record-event.ts";
import type { CallType } from "./call-types.ts";
import { commitCalls, wasTaken } from "./commit-calls.ts";
import { readCall, withFieldPrefix } from "./read-call.ts";

export interface SingleCall<Answer extends Message> {
  readonly call: TrackingCall;
  readonly type: CallType;
  /** Prefix of field names in errors. */
  readonly fieldPrefix: string;
  /** Returns the response to a call that was accepted now or earlier. */
  readonly answerOf: (outcome: EventOutcome) => Answer;
}

export async function takeCall<Answer extends Message>(
  deps: EventsDeps,
  context: CallContext,
  { call, type, fieldPrefix, answerOf }: SingleCall<Answer>,
): Promise<Answer> {
  const read = readCall(call, type, {
    organizationId: context.organizationId,
    nowMs: deps.clock.nowMs(),
    ids: deps.ids,
    sentAt: "",
    correctsClock: true,
    fieldPrefix,
  });
  if (read instanceof AppError) throw read;
  const settle = settleOf(context, ([outcome]) =>
    outcome !== undefined && wasTaken(outcome) ? answerOf(outcome) : undefined,
  );
  const [outcome] = await commitCalls(deps, context, [read], { kind: "single", settle });
  if (outcome === undefined) throw new AppError("INTERNAL");
  if (outcome.status === "rejected" && !wasTaken(outcome)) throw withFieldPrefix(outcome.error, fieldPrefix);
  return answerOf(outcome);
}
