// Builds the limiter of public methods from the configuration.
import type { Config } from "@muster/config";
import { RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import { MemoryRateLimiter, type RateLimiter } from "@muster/rate-limits";

const WINDOW_SECONDS = 60;

/** Shared by the ports of the process, so that a client has one limit over all of them. */
export function clientLimiter(config: Config): RateLimiter {
  const perMinute = (requestsMax: number) => ({ requestsMax, windowSeconds: WINDOW_SECONDS });
  return new MemoryRateLimiter({
    limits: new Map([
      [RateClass.PUBLIC, perMinute(config.publicRequestsPerMinute)],
      [RateClass.CREDENTIAL, perMinute(config.credentialRequestsPerMinute)],
    ]),
  });
}
