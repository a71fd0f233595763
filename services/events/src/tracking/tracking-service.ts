// Lists the handlers of TrackingService.
import {
  AliasResponseSchema,
  GroupResponseSchema,
  IdentifyResponseSchema,
  ScreenResponseSchema,
  TrackingService,
  TrackResponseSchema,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { batch } from "./batch.ts";
import { importCalls } from "./import.ts";
import { page } from "./page.ts";
import { trackCall } from "./track-call.ts";
import { TrackingMetrics } from "./tracking-metrics.ts";

/** Binds every RPC of TrackingService to the handler. */
export function trackingService(deps: EventsDeps): ServiceImplementation {
  const metrics = new TrackingMetrics(deps.metrics);
  return implement(TrackingService, {
    identify: trackCall(deps, "identify", IdentifyResponseSchema),
    track: trackCall(deps, "track", TrackResponseSchema),
    page: page(deps),
    screen: trackCall(deps, "screen", ScreenResponseSchema),
    group: trackCall(deps, "group", GroupResponseSchema),
    alias: trackCall(deps, "alias", AliasResponseSchema),
    batch: batch(deps, metrics),
    import: importCalls(deps, metrics),
  });
}
