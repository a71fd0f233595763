// The plain meaning of rules, straight over raw events: what the engine's tests compare it with.
import type { Rule } from "./rule.ts";

export interface RawEvent {
  readonly eventName: string;
  readonly ms: number;
}

/** Whether a profile with exactly these raw events is a member at `nowMs`. */
export function isMemberByRawEvents(rule: Rule, events: readonly RawEvent[], nowMs: number): boolean {
  const happened = events.filter(({ ms }) => ms <= nowMs);
  const instantsOf = (name: string) =>
    happened.filter(({ eventName }) => eventName === name).map(({ ms }) => ms);
  switch (rule.kind) {
    case "performed": {
      const { window } = rule;
      const instants = instantsOf(rule.matcher.eventName);
      const counted = window === undefined ? instants : instants.filter((ms) => ms > nowMs - window.ms);
      return counted.length >= rule.count.n;
    }
    case "performed_then_not": {
      const later = instantsOf(rule.thenNot.eventName);
      return instantsOf(rule.matcher.eventName).some((ms) => !later.some((other) => other >= ms));
    }
  }
}
