// Selects events by name and an optional predicate on properties. A matcher has no window and no threshold,
// so the segments of an organization share the facts of equal matchers.
import { createHash } from "node:crypto";
import type { Predicate } from "../../predicates/predicate.ts";

export interface Matcher {
  /** Equal for equal matchers, in every process and for ever, because facts are stored under this key. */
  readonly key: string;
  /** Undefined matches events of any name. */
  readonly eventName: string | undefined;
  /** A predicate on the event's properties; undefined accepts all properties. */
  readonly where: Predicate | undefined;
}

/** `where` is a predicate on events. Different spellings of one predicate give the same matcher. */
export function matcherOf(eventName: string | undefined, where?: Predicate): Matcher {
  const key = stableKey({ event_name: eventName, ...(where !== undefined && { where: where.key }) });
  return { key, eventName, where };
}

/** A short hash of a definition, the same in every process and for ever. */
export function stableKey(definition: unknown): string {
  const digest = createHash("sha256").update(JSON.stringify(definition)).digest();
  return digest.subarray(0, 16).toString("base64url");
}
