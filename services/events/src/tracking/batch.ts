// Batch accepts many calls of all types in order and validates each call independently.
import { create } from "@bufbuild/protobuf";
import {
  BatchResponseSchema,
  type TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { acceptBatch } from "./accept-batch.ts";
import type { TrackingMetrics } from "./tracking-metrics.ts";

export function batch(
  deps: EventsDeps,
  metrics: TrackingMetrics,
): UnaryHandler<typeof TrackingService.method.batch> {
  const success = create(BatchResponseSchema, { success: true });
  return (request, context) => {
    const { batch: calls, unreadableCalls: unreadable, sentAt } = request;
    return acceptBatch(deps, metrics, context, { calls, unreadable, sentAt, correctsClock: true }, success);
  };
}
