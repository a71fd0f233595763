// RecordAction records a deposit or withdrawal of an existing user as a tracked event. The response contains
// the codes of the alerts that the event fired.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AlertService,
  type RecordActionRequest,
  RecordActionResponseSchema,
} from "@muster/contracts/muster/events/v1/alert_service_pb";
import { AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { LAST_INSTANT_MS } from "../event-storage/tracked-event.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { readSentEvent, type SentEvent } from "../ingest/read-event-input.ts";
import { responseSaver } from "../ingest/response-saver.ts";
import { createSubmission, type EventOutcome } from "../ingest/submission.ts";
import { findOwner } from "../profile-storage/identity-store.ts";

export function recordAction(deps: EventsDeps): UnaryHandler<typeof AlertService.method.recordAction> {
  return async (request, context) => {
    const { organizationId, traceParent } = context;
    const userId = String(request.userId ?? 0n);
    const identity = { kind: "user_id", value: userId } as const;
    const profileId = (await findOwner(deps.database.reader, organizationId, identity))?.profileId;
    if (profileId === undefined) throw new AppError("PROFILE_NOT_FOUND");
    // The event names the profile id, so that a concurrent erasure does not create the user again.
    const sent = eventOf(request, profileId);
    const reader = { organizationId, nowMs: deps.clock.nowMs(), ids: deps.ids, fieldPrefix: "" };
    const read = readSentEvent(sent, reader);
    if (read instanceof AppError) throw read;
    const responseOf = (outcome: EventOutcome | undefined) =>
      create(RecordActionResponseSchema, {
        ...alertsOf(outcome),
        userId: request.userId ?? 0n,
      });
    const saveResponse = responseSaver(context, ([outcome]) =>
      outcome?.status === "stored" ? responseOf(outcome) : undefined,
    );
    const submission = createSubmission(organizationId, [read], {
      traceParent,
      ...(saveResponse !== undefined && { saveResponse }),
    });
    const [outcome] = await deps.ingest.submit(submission, "single");
    if (outcome?.status === "rejected") throw outcome.error;
    return responseOf(outcome);
  };
}

function alertsOf(outcome: EventOutcome | undefined): { alert: boolean; alertCodes: number[] } {
  const alertCodes = outcome?.status === "stored" ? outcome.alertCodes : [];
  return { alert: alertCodes.length > 0, alertCodes: [...alertCodes] };
}

function eventOf({ type = "", amount = "", time = 0n }: RecordActionRequest, identity: string): SentEvent {
  const seconds = Number(time);
  if (!Number.isSafeInteger(seconds)) throw invalidField("time", "must be at most 2^53-1");
  return {
    identityKind: "profile_id",
    identity,
    name: type,
    properties: JSON.stringify({ amount, time: seconds }),
    // The shown instant is clamped; evaluation uses the `time` property for later instants.
    timestamp: timestampFromMs(Math.min(seconds * 1000, LAST_INSTANT_MS)),
    eventId: undefined,
  };
}
