// Decides when logins are locked: counts failures and computes the end of a lock. Pure.

/** Limits of failed logins. */
export interface ThrottleRules {
  /** Failures of an address typed from a client or device that lock this pair. */
  readonly pairFailuresMax: number;
  /** How long a pair stays locked, and how long failures of the pair count. */
  readonly pairLockMs: number;
  /** Failures of an address typed, from all clients, in a window. */
  readonly addressFailuresMax: number;
  /** Failures of a client, with all addresses, in a window. */
  readonly clientFailuresMax: number;
  readonly windowMs: number;
}

/** A pair counts an address typed from a client; the other kinds count all failures of an address or a client. */
export type CounterKind = "pair" | "address" | "client";

export interface Counter {
  readonly failures: number;
  /** The failures count until then. */
  readonly endTimeMs: number;
  /** Of an address: how often a mail has unlocked it. Of a pair: the address's number when the pair failed last. */
  readonly unlocks: number;
}

export interface Counters {
  readonly pair: Counter;
  readonly address: Counter;
  readonly client: Counter;
}

export const EMPTY_COUNTER: Counter = { failures: 0, endTimeMs: 0, unlocks: 0 };

/**
 * How long the attempt stays locked; 0 without a lock. A known device is locked only by its own failures, so that no
 * stranger locks it.
 */
export function remainingLockMs(
  counters: Counters,
  { isKnownDevice, nowMs }: { readonly isKnownDevice: boolean; readonly nowMs: number },
  rules: ThrottleRules,
): number {
  const kinds: readonly CounterKind[] = isKnownDevice ? ["pair"] : ["pair", "address", "client"];
  const ends = kinds
    .filter((kind) => isLocked(kind, counters, rules, nowMs))
    .map((kind) => counters[kind].endTimeMs - nowMs);
  return Math.max(0, ...ends);
}

/** The counters after a further failure. */
export function afterFailure(counters: Counters, rules: ThrottleRules, nowMs: number): Counters {
  const failures = (kind: CounterKind) =>
    (isCurrent(kind, counters, nowMs) ? counters[kind].failures : 0) + 1;
  const windowEnd = (kind: CounterKind) =>
    isCurrent(kind, counters, nowMs) ? counters[kind].endTimeMs : nowMs + rules.windowMs;
  const { unlocks } = counters.address;
  return {
    pair: { failures: failures("pair"), endTimeMs: nowMs + rules.pairLockMs, unlocks },
    address: { failures: failures("address"), endTimeMs: windowEnd("address"), unlocks },
    client: { failures: failures("client"), endTimeMs: windowEnd("client"), unlocks: 0 },
  };
}

/** Whether the last failure has locked the pair, or the address for all clients. */
export function hasJustLocked({ pair, address }: Counters, rules: ThrottleRules): boolean {
  return pair.failures === rules.pairFailuresMax || address.failures === rules.addressFailuresMax;
}

function isLocked(kind: CounterKind, counters: Counters, rules: ThrottleRules, nowMs: number): boolean {
  return isCurrent(kind, counters, nowMs) && counters[kind].failures >= rules[`${kind}FailuresMax`];
}

/** Failures count until the end time. An unlock of the address ends the failures of all pairs of the address. */
function isCurrent(kind: CounterKind, counters: Counters, nowMs: number): boolean {
  const { endTimeMs, unlocks } = counters[kind];
  return nowMs < endTimeMs && (kind !== "pair" || unlocks === counters.address.unlocks);
}
