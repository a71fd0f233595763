// Recognizes placeholder ids, for example "undefined" or "guest". Programs send a placeholder for many
// persons, so a link by the placeholder would join the persons.
import type { TrackingCall } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { FieldError } from "@muster/errors";
import type { CallType } from "./call-types.ts";

/** The field error of a placeholder in a call that links ids. */
const PLACEHOLDER_PROBLEM =
  "must identify one person; placeholders such as undefined, null or guest never link profiles";

/** The configured ids, compared without case and surrounding spaces. The empty id is always a placeholder. */
export class PlaceholderIds {
  readonly #ids: ReadonlySet<string>;

  constructor(ids: readonly string[]) {
    this.#ids = new Set(["", ...ids.map(normalized)]);
  }

  has(id: string): boolean {
    return this.#ids.has(normalized(id));
  }

  /** Returns a field error for each placeholder that the call would link with another id. */
  linkProblems(call: TrackingCall, type: CallType): FieldError[] {
    return linkedIds(call, type)
      .filter(({ id }) => this.has(id))
      .map(({ field }) => ({ field, message: PLACEHOLDER_PROBLEM }));
  }
}

/** Returns the ids that the call links; none if the call has one id only. Missing ids are other problems. */
function linkedIds(
  { userId, anonymousId, previousId }: TrackingCall,
  type: CallType,
): readonly { readonly field: string; readonly id: string }[] {
  const user = { field: "user_id", id: userId };
  const others = {
    identify: { field: "anonymous_id", id: anonymousId },
    alias: { field: "previous_id", id: previousId },
  };
  const other = type === "identify" || type === "alias" ? others[type] : undefined;
  return other === undefined || userId === "" || other.id === "" ? [] : [user, other];
}

function normalized(id: string): string {
  return id.trim().toLowerCase();
}
