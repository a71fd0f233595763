// The engine against the plain meaning of rules: random rules and traces with late, reordered and future
// events, re-derivations at random positions, and a clock that stands on every millisecond once.
import type { SegmentId } from "@muster/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isMemberByRawEvents } from "./brute-force.ts";
import { Definitions, type SegmentDefinition } from "./definitions.ts";
import { evaluate } from "./evaluate.ts";
import { matcherOf } from "./matcher.ts";
import { earlier, evaluateAll, evaluateSegments } from "./membership.ts";
import {
  emptyState,
  needsDerivation,
  type ProfileState,
  recordEvent,
  settleFutures,
} from "./profile-state.ts";
import type { Rule } from "./rule.ts";
import { decodeState, encodeState } from "./state-codec.ts";

const END_MS = 60;
const anyName = fc.constantFrom("a", "b", "c");
const anyRule: fc.Arbitrary<Rule> = fc.oneof(
  fc.record({
    kind: fc.constant("performed" as const),
    matcher: anyName.map(matcherOf),
    count: fc.integer({ min: 1, max: 4 }).map((n) => ({ kind: "at_least" as const, n })),
    window: fc.option(
      fc.integer({ min: 1, max: 30 }).map((ms) => ({ kind: "last" as const, ms })),
      { nil: undefined },
    ),
  }),
  fc.record({
    kind: fc.constant("performed_then_not" as const),
    matcher: anyName.map(matcherOf),
    thenNot: anyName.map(matcherOf),
  }),
);

interface Arrival {
  readonly eventName: string;
  readonly ms: number;
  readonly arrivesMs: number;
  /** Committed by the producer this long before it is folded. */
  readonly lagMs: number;
}

const anyArrival: fc.Arbitrary<Arrival> = fc.record({
  eventName: anyName,
  ms: fc.integer({ min: -10, max: END_MS + 5 }),
  arrivesMs: fc.integer({ min: 0, max: END_MS }),
  lagMs: fc.constantFrom(0, 0, 1, 5),
});

const anyTrace = fc
  .array(anyArrival, { maxLength: 30 })
  .map((trace) => [...trace].sort((a, b) => a.arrivesMs - b.arrivesMs));

/** One profile as the running system keeps it: folds, a timer at the due instant, derivations. */
class Simulation {
  state: ProfileState = emptyState();
  nextDueMs: number | undefined;
  readonly definitions: Definitions;
  readonly trace: readonly Arrival[];
  readonly futuresMax: number;

  constructor(rules: readonly Rule[], trace: readonly Arrival[], futuresMax: number) {
    const segments = rules.map((rule, index): SegmentDefinition => ({ id: `s${index}` as SegmentId, rule }));
    this.definitions = new Definitions(1, segments);
    this.trace = trace;
    this.futuresMax = futuresMax;
  }

  fold(position: number, nowMs: number): void {
    const arrival = this.trace[position - 1];
    if (arrival === undefined || position <= this.state.asOf) return;
    const touched = new Set<SegmentDefinition>();
    settleFutures(this.state, this.definitions, nowMs, touched);
    const event = {
      eventName: arrival.eventName,
      instant: [arrival.ms, `e${position}`] as [number, string],
    };
    recordEvent(this.state, this.definitions, event, nowMs, touched, this.futuresMax);
    const { nextDueMs } = evaluateSegments(this.state, touched, nowMs);
    this.nextDueMs = earlier(this.nextDueMs, nextDueMs);
  }

  timer(nowMs: number): void {
    if (this.nextDueMs === undefined || this.nextDueMs > nowMs) return;
    this.nextDueMs = evaluateAll(this.state, this.definitions, nowMs).nextDueMs;
    if (needsDerivation(this.state, nowMs)) this.derive(this.committed(nowMs), nowMs);
    // A row is never due again at the instant it was visited: the loop of timers ends.
    expect(this.nextDueMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
  }

  /** How many messages of the trace the producer has committed by now. */
  committed(nowMs: number): number {
    return this.trace.filter(({ arrivesMs, lagMs }) => arrivesMs - lagMs <= nowMs).length === 0
      ? 0
      : this.trace.findLastIndex(({ arrivesMs, lagMs }) => arrivesMs - lagMs <= nowMs) + 1;
  }

  derive(position: number, nowMs: number): void {
    const derived = emptyState();
    derived.asOf = position;
    const raw = this.trace.slice(0, position).map((event, index) => ({ ...event, id: `e${index + 1}` }));
    raw.sort((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1));
    for (const { eventName, ms, id } of raw) {
      const event = { eventName, instant: [ms, id] as [number, string] };
      recordEvent(derived, this.definitions, event, nowMs, new Set(), this.futuresMax);
    }
    for (const [id, enteredMs] of this.state.memberships) derived.memberships.set(id, enteredMs);
    this.state = derived;
    this.nextDueMs = evaluateAll(derived, this.definitions, nowMs).nextDueMs;
  }
}

describe("the engine equals a brute-force evaluation over the raw events", () => {
  test("at every millisecond, whatever comes late, out of order or early", () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { minLength: 1, maxLength: 5 }),
        anyTrace,
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 0, max: END_MS }), { maxLength: 2 }),
        (rules, trace, futuresMax, derivationsMs) => {
          const run = new Simulation(rules, trace, futuresMax);
          let folded = 0;
          for (let nowMs = 0; nowMs <= END_MS + 40; nowMs += 1) {
            for (
              let next = trace[folded];
              next !== undefined && next.arrivesMs <= nowMs;
              next = trace[folded]
            ) {
              folded += 1;
              run.fold(folded, nowMs);
            }
            run.timer(nowMs);
            if (derivationsMs.includes(nowMs)) run.derive(Math.max(folded, run.committed(nowMs)), nowMs);
            run.state = decodeState(encodeState(run.state));
            const raw = trace.slice(0, Math.max(folded, run.state.asOf));
            for (const { id, rule } of run.definitions.segments.values()) {
              const expected = isMemberByRawEvents(rule, raw, nowMs);
              if (run.state.memberships.has(id) === expected) continue;
              expect.fail(`${id} at ${nowMs}: expected ${expected}`);
            }
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  test("and says exactly when the answer will change by itself", () => {
    fc.assert(
      fc.property(anyRule, anyTrace, fc.integer({ min: 0, max: END_MS }), (rule, trace, nowMs) => {
        const definitions = new Definitions(1, [{ id: "s" as SegmentId, rule }]);
        const state = emptyState();
        const past = trace.filter(({ ms }) => ms <= nowMs);
        for (const [index, { eventName, ms }] of past.entries()) {
          recordEvent(state, definitions, { eventName, instant: [ms, `e${index}`] }, nowMs, new Set());
        }
        const verdict = evaluate(rule, (key) => state.facts.get(key), nowMs);
        expect(verdict.member).toBe(isMemberByRawEvents(rule, past, nowMs));
        let changeMs: number | undefined;
        for (let ms = nowMs + 1; changeMs === undefined && ms <= nowMs + 50; ms += 1) {
          if (isMemberByRawEvents(rule, past, ms) !== verdict.member) changeMs = ms;
        }
        expect(verdict.nextChangeAt).toBe(changeMs);
      }),
      { numRuns: 3000 },
    );
  });
});
