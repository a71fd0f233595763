// Defines the types of calls: required fields, the resulting event and the identity claim.
import type { TrackingCall } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { IdentityClaim } from "../identity-claims/identity-claim.ts";
import { withMembers } from "../json/object-members.ts";

/** A type of tracking call. */
export type CallType = "identify" | "track" | "page" | "screen" | "group" | "alias";

interface CallTypeRow {
  /** Fields that must not be empty, with their values. */
  readonly required: (call: TrackingCall) => readonly (readonly [field: string, value: string])[];
  readonly event: (call: TrackingCall) => { readonly name: string; readonly properties: string };
  /** `isPlaceholder`: the id of the person stands for nobody. */
  readonly claim?: (call: TrackingCall, isPlaceholder: boolean) => IdentityClaim;
}

const none = (): [] => [];

/** Call types by the `type` of a batched call. */
export const callTypes: Readonly<Record<CallType, CallTypeRow>> = {
  identify: {
    required: none,
    event: ({ traits = "{}" }) => ({ name: "user.identified", properties: traits }),
    claim: (call, isPlaceholder) => ({
      kind: "identify",
      userId: idOrUndefined(call.userId),
      anonymousId: idOrUndefined(call.anonymousId),
      traits: call.traits ?? "{}",
      takesEmail: !isPlaceholder,
    }),
  },
  track: {
    required: ({ event }) => [["event", event]],
    event: ({ event, properties = "{}" }) => ({ name: event, properties }),
  },
  page: { required: none, event: (call) => viewOf("page.viewed", call) },
  screen: { required: none, event: (call) => viewOf("screen.viewed", call) },
  group: {
    required: ({ groupId }) => [["group_id", groupId]],
    event: ({ groupId, traits = "{}" }) => ({
      name: "group.identified",
      properties: withMembers(traits, { groupId }),
    }),
  },
  alias: {
    required: ({ userId, previousId }) => [
      ["user_id", userId],
      ["previous_id", previousId],
    ],
    event: ({ previousId }) => ({ name: "user.aliased", properties: withMembers("{}", { previousId }) }),
    claim: ({ userId, previousId }) => ({ kind: "alias", userId, previousId }),
  },
};

/** Whether the text names a call type. */
export function isCallType(text: string): text is CallType {
  return Object.hasOwn(callTypes, text);
}

function viewOf(eventName: string, { name, category, properties = "{}" }: TrackingCall) {
  return { name: eventName, properties: withMembers(properties, { name, category }) };
}

function idOrUndefined(id: string): string | undefined {
  return id === "" ? undefined : id;
}
