// Declares the port that counts requests against the limits of rate classes.
import type { RateClass } from "@muster/contracts/muster/options/v1/options_pb";

export interface RateLimit {
  readonly requestsMax: number;
  /** Whole seconds, starting with the first request. */
  readonly windowSeconds: number;
}

/** Other classes are not limited. */
export type RateLimits = ReadonlyMap<RateClass, RateLimit>;

export interface RateLimiter {
  /**
   * Counts a request of the client. Resolves with 0 where the limit allows the request, else with the
   * milliseconds until the limit allows the next request.
   */
  take(rateClass: RateClass, clientKey: string): Promise<number>;
}
