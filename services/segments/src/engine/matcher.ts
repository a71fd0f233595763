// Which events a leaf counts: an event name and perhaps a predicate on properties, without window or
// threshold, so that segments of an organisation share the facts of equal matchers.
import { createHash } from "node:crypto";
import type { Predicate } from "../predicates/predicate.ts";

export interface Matcher {
  /** Equal for equal matchers, in every process and for ever: facts are stored under it. */
  readonly key: string;
  /** Undefined means events of any name. */
  readonly eventName: string | undefined;
  /** On the event's properties; undefined means whatever they are. */
  readonly where: Predicate | undefined;
}

/** `where` is a predicate on events. Spellings of the same predicate give the same matcher. */
export function matcherOf(eventName: string | undefined, where?: Predicate): Matcher {
  const key = stableKey({ event_name: eventName, ...(where !== undefined && { where: where.key }) });
  return { key, eventName, where };
}

/** A short text that tells definitions apart, the same in every process and for ever. */
export function stableKey(definition: unknown): string {
  const digest = createHash("sha256").update(JSON.stringify(definition)).digest();
  return digest.subarray(0, 16).toString("base64url");
}
