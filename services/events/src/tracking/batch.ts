// Batch accepts many calls of all types in order and validates each call independently.
import { create } from "@bufbuild/protobuf";
import {
  BatchResponseSchema,
  type TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import { acceptBatch } from "./accept-batch.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

export function batch(deps: TrackingDeps): UnaryHandler<typeof TrackingService.method.batch> {
  const success = create(BatchResponseSchema, { success: true });
  return (request, context) => {
    const { batch: calls, unreadableCalls: unreadable, sentAt } = request;
    return acceptBatch(deps, context, { calls, unreadable, sentAt, correctsClock: true }, success);
  };
}
