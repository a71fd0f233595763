// Counts requests by class and client in the memory of a process.
import type { RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import { LRUCache } from "lru-cache";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { RateLimit, RateLimiter, RateLimits } from "./rate-limiter.ts";

/** Clients that are counted for each class. With more, the client that called longest ago is dropped. */
const CLIENTS_MAX = 50_000;

export interface MemoryRateLimiterOptions {
  readonly limits: RateLimits;
  readonly clientsMax?: number;
}

/** Every replica of a service has a separate count. */
export class MemoryRateLimiter implements RateLimiter {
  readonly #classes: ReadonlyMap<RateClass, BoundedWindows>;

  constructor({ limits, clientsMax = CLIENTS_MAX }: MemoryRateLimiterOptions) {
    const classes = [...limits].map(
      ([rateClass, limit]) => [rateClass, new BoundedWindows(limit, clientsMax)] as const,
    );
    this.#classes = new Map(classes);
  }

  async take(rateClass: RateClass, clientKey: string): Promise<number> {
    return (await this.#classes.get(rateClass)?.take(clientKey)) ?? 0;
  }
}

/** The windows of the clients of a class. The library alone keeps every client until the window ends. */
class BoundedWindows {
  readonly #windows: RateLimiterMemory;
  readonly #clients: LRUCache<string, true>;

  constructor({ requestsMax, windowSeconds }: RateLimit, clientsMax: number) {
    const windows = new RateLimiterMemory({ points: requestsMax, duration: windowSeconds });
    this.#windows = windows;
    this.#clients = new LRUCache<string, true>({
      max: clientsMax,
      noDisposeOnSet: true,
      dispose: (_, clientKey) => void windows.delete(clientKey),
    });
  }

  async take(clientKey: string): Promise<number> {
    this.#clients.set(clientKey, true);
    try {
      await this.#windows.consume(clientKey);
      return 0;
    } catch (refusal) {
      // The library rejects with a result, which is not an error.
      if (refusal instanceof RateLimiterRes) return Math.max(1, refusal.msBeforeNext);
      throw refusal;
    }
  }
}
