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
import type { TrackingSettings } from "@muster/runtime";
import type { EventsDeps } from "../handlers/deps.ts";
import { PlaceholderIds } from "../tracking-calls/placeholder-ids.ts";
import { batch } from "./batch.ts";
import { importCalls } from "./import.ts";
import { page } from "./page.ts";
import { trackCall } from "./track-call.ts";
import type { TrackingDeps } from "./tracking-deps.ts";
import { TrackingMetrics } from "./tracking-metrics.ts";

/** Binds every RPC of TrackingService to the handler. */
export function trackingService(deps: EventsDeps, settings: TrackingSettings): ServiceImplementation {
  const own: TrackingDeps = {
    ...deps,
    trackingMetrics: new TrackingMetrics(deps.metrics),
    placeholderIds: new PlaceholderIds(settings.placeholderIds),
    clockOffsetMs: settings.clockOffsetMs,
    usersPerAnonymousIdMax: settings.usersPerAnonymousIdMax,
  };
  return implement(TrackingService, {
    identify: trackCall(own, "identify", IdentifyResponseSchema),
    track: trackCall(own, "track", TrackResponseSchema),
    page: page(own),
    screen: trackCall(own, "screen", ScreenResponseSchema),
    group: trackCall(own, "group", GroupResponseSchema),
    alias: trackCall(own, "alias", AliasResponseSchema),
    batch: batch(own),
    import: importCalls(own),
  });
}
