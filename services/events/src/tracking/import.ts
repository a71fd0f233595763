// Import accepts historical calls like Batch, without a correction of timestamps.
import { create } from "@bufbuild/protobuf";
import {
  ImportRequestSchema,
  ImportResponseSchema,
  type TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import { acceptBatch } from "./accept-batch.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

export function importCalls(deps: TrackingDeps): UnaryHandler<typeof TrackingService.method.import> {
  const success = create(ImportResponseSchema, { success: true });
  return async (request, context) => {
    const call = await deps.repeatedCalls.begin(context, ImportRequestSchema, request);
    const { batch: calls, unreadableCalls: unreadable } = request;
    return acceptBatch(deps, context, { calls, unreadable, sentAt: "", correctsClock: false }, call, success);
  };
}
