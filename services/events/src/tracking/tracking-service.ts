// Implements TrackingService: the handler of each method.
import {
  AliasResponseSchema,
  GroupResponseSchema,
  IdentifyResponseSchema,
  ScreenResponseSchema,
  TrackingService,
  TrackResponseSchema,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { Metrics } from "@muster/metrics";
import { implement } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { batch, importCalls } from "./batch-calls.ts";
import { page } from "./page.ts";
import { trackCall } from "./track-call.ts";
import { TrackingMetrics } from "./tracking-metrics.ts";

export function trackingService(deps: EventsDeps, metrics: Metrics) {
  const trackingMetrics = new TrackingMetrics(metrics);
  return implement(TrackingService, {
    identify: trackCall(deps, "identify", IdentifyResponseSchema),
    track: trackCall(deps, "track", TrackResponseSchema),
    page: page(deps),
    screen: trackCall(deps, "screen", ScreenResponseSchema),
    group: trackCall(deps, "group", GroupResponseSchema),
    alias: trackCall(deps, "alias", AliasResponseSchema),
    batch: batch(deps, trackingMetrics),
    import: importCalls(deps, trackingMetrics),
  });
}
