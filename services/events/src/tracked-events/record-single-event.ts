// Submits a single event and returns the response of the call.
import type { Message } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import type { EventReadOptions } from "../ingest/read-event-input.ts";
import { responseSaver } from "../ingest/response-saver.ts";
import { createSubmission, type SubmittedEvent } from "../ingest/submission.ts";

/** Returns the options to read an event of this call now. */
export function eventReadOptions(
  deps: EventsDeps,
  context: CallContext,
  fieldPrefix: string,
): EventReadOptions {
  return {
    organizationId: context.organizationId,
    nowMs: deps.clock.nowMs(),
    ids: deps.ids,
    fieldPrefix,
  };
}

/** Throws the error of an invalid or rejected event. */
export async function recordSingleEvent<Response extends Message>(
  deps: EventsDeps,
  context: CallContext,
  read: SubmittedEvent | AppError,
  responseOf: (event: TrackedEvent) => Response,
): Promise<Response> {
  if (read instanceof AppError) throw read;
  const submission = createSubmission(context.organizationId, [read], {
    traceParent: context.traceParent,
    saveResponse: responseSaver(context, ([outcome]) =>
      outcome === undefined || outcome.status === "rejected" ? undefined : responseOf(outcome.event),
    ),
  });
  const [outcome] = await deps.ingest.submit(submission, "single");
  if (outcome === undefined) throw new AppError("INTERNAL");
  if (outcome.status === "rejected") throw outcome.error;
  return responseOf(outcome.event);
}
