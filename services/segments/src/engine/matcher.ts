// Which events a leaf counts: an event name (predicates on properties join it later), without window or
// threshold, so that segments of an organisation share the facts of equal matchers.
import { createHash } from "node:crypto";

export interface Matcher {
  /** Equal for equal matchers, in every process and for ever: facts are stored under it. */
  readonly key: string;
  readonly eventName: string;
}

export function matcherOf(eventName: string): Matcher {
  const canonical = JSON.stringify({ event_name: eventName });
  const digest = createHash("sha256").update(canonical).digest();
  return { key: digest.subarray(0, 16).toString("base64url"), eventName };
}
