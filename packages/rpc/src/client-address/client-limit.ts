// Counts calls against the limits by client address, before anything else is done for them.
import { type MethodPolicy, RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import type { RateLimiter } from "@muster/rate-limits";
import { clientKeyOf } from "./client-address.ts";

/** Throws RATE_LIMITED where the client has used up the limit of the method's class. */
export async function assertWithinLimit(
  limiter: RateLimiter | undefined,
  { rateClass }: MethodPolicy,
  clientAddress: string,
): Promise<void> {
  if (limiter === undefined) return;
  if (rateClass !== RateClass.PUBLIC && rateClass !== RateClass.CREDENTIAL) return;
  const retryAfterMs = await limiter.take(rateClass, clientKeyOf(clientAddress));
  if (retryAfterMs > 0) throw new AppError("RATE_LIMITED", { retryAfterMs });
}
