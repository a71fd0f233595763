// Batch accepts many calls of all types in order and validates each call independently.
import { create } from "@bufbuild/protobuf";
import {
  BatchRequestSchema,
  BatchResponseSchema,
  type TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import { acceptBatch } from "./accept-batch.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

export function batch(deps: TrackingDeps): UnaryHandler<typeof TrackingService.method.batch> {
  const success = create(BatchResponseSchema, { success: true });
  return async (request, context) => {
    const call = await deps.repeatedCalls.begin(context, BatchRequestSchema, request);
    const { batch: calls, unreadableCalls: unreadable, sentAt } = request;
    return acceptBatch(deps, context, { calls, unreadable, sentAt, correctsClock: true }, call, success);
  };
}
