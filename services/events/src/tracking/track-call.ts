// Identify, Track, Screen, Group and Alias accept one call each; the route determines the type.
import { create, type Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import {
  type TrackingCall,
  TrackingCallSchema,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { CallContext } from "@muster/rpc";
import type { CallType } from "../tracking-calls/call-types.ts";
import { takeCall } from "./take-call.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

type Request = Message & { readonly call?: TrackingCall | undefined };
type Response = Message & { success: boolean };

/** Returns the handler of a method whose response is `success`. */
export function trackCall<CallResponse extends Response>(
  deps: TrackingDeps,
  type: CallType,
  schema: GenMessage<CallResponse>,
) {
  return (request: Request, context: CallContext): Promise<CallResponse> =>
    takeCall(deps, context, {
      call: request.call ?? create(TrackingCallSchema),
      type,
      fieldPrefix: "call.",
      responseOf: () => Object.assign(create(schema), { success: true }),
    });
}
