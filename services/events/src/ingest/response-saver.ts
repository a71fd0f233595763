// Saves the response of a call in the transaction that stores the events of the call.
import type { Message } from "@bufbuild/protobuf";
import type { ProfileId } from "@muster/core";
import type { CallContext } from "@muster/rpc";
import type { EventOutcome, Submission } from "./submission.ts";

/** Returns undefined for a call without an idempotency key, which needs no saved response. */
export function responseSaver(
  context: CallContext,
  responseOf: (outcomes: readonly EventOutcome[]) => Message | undefined,
): Submission["saveResponse"] {
  if (!context.requestHeaders.has("idempotency-key")) return undefined;
  return async (trx, outcomes) => {
    const response = responseOf(outcomes);
    if (response !== undefined) await context.saveResponse(trx, response, { subjects: subjectsOf(outcomes) });
  };
}

/** Returns the profiles of the events, also for responses without profile ids, so that erasure finds them. */
function subjectsOf(outcomes: readonly EventOutcome[]): ProfileId[] {
  return outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [] : [outcome.event.profileId, outcome.event.rootId],
  );
}
