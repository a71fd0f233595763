// Declares the dependencies of the tracking slice.
import type { EventsDeps } from "../handlers/deps.ts";
import type { PlaceholderIds } from "../tracking-calls/placeholder-ids.ts";
import type { TrackingMetrics } from "./tracking-metrics.ts";

export interface TrackingDeps extends EventsDeps {
  readonly trackingMetrics: TrackingMetrics;
  readonly placeholderIds: PlaceholderIds;
  /** Smallest difference between `sentAt` and the time of receipt that counts as a wrong clock. */
  readonly clockOffsetMs: number;
  readonly usersPerAnonymousIdMax: number;
}
