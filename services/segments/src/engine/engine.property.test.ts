// Compares the engine with the reference evaluator: random rule trees and traces with late, reordered and
// scheduled events, rebuilds at random positions, and a clock that visits every tick once.
import type { EvaluationId } from "@muster/core";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Arrival,
  anyLeaves,
  anyRule,
  anyTrace,
  COARSE,
  FINE,
  type Scale,
  TAIL_TICKS,
  TICKS,
} from "../../tests/random-rules.ts";
import { evaluate } from "./evaluation/evaluate.ts";
import { isMemberByRawEvents, type ReferenceContext } from "./reference/reference-evaluator.ts";
import { type Matcher, matcherOf } from "./rule/matcher.ts";
import { type EvaluatedRule, type Leaf, leavesOf } from "./rule/rule.ts";
import { applyDueEvents, recordEvent, recordProfile } from "./state/apply-events.ts";
import { Definitions, type SegmentDefinition } from "./state/definitions.ts";
import { earlier, evaluateAll, evaluateSegments } from "./state/membership.ts";
import { emptyState, needsRebuild, type ProfileState, viewOf } from "./state/profile-state.ts";
import { decodeState, encodeState } from "./state/state-codec.ts";

/** Segments may only refer to earlier segments. */
function segmentsOf(rules: readonly EvaluatedRule[]): SegmentDefinition[] {
  return rules.map((rule, index) => ({
    id: `s${index}` as EvaluationId,
    rule: referringToEarlier(rule, index),
  }));
}

function referringToEarlier(rule: EvaluatedRule, index: number): EvaluatedRule {
  if (rule.kind === "all" || rule.kind === "any") {
    return { ...rule, rules: rule.rules.map((one) => referringToEarlier(one, index)) };
  }
  if (rule.kind === "not") return { ...rule, rule: referringToEarlier(rule.rule, index) };
  if (rule.kind !== "in_segment" || Number(rule.segmentId.slice(1)) < index) return rule;
  return { kind: "in_segment", segmentId: "missing" as EvaluationId };
}

/**
 * One profile as the running system maintains it: events are applied, a timer fires at the due instant, and
 * the state is rebuilt.
 */
class EngineSimulation {
  state: ProfileState = emptyState();
  nextDueMs: number | undefined;
  rebuilds = 0;
  readonly definitions: Definitions;
  readonly trace: readonly Arrival[];
  readonly scheduledEventsMax: number;
  readonly createMs: number;
  /**
   * Positions in the trace of another profile's events. They belong to this profile while both are merged.
   */
  otherPositions: ReadonlySet<number> = new Set();
  isMerged = false;

  constructor(
    rules: readonly EvaluatedRule[],
    trace: readonly Arrival[],
    scheduledEventsMax: number,
    createMs: number,
  ) {
    this.definitions = new Definitions(1, segmentsOf(rules));
    this.trace = trace;
    this.scheduledEventsMax = scheduledEventsMax;
    this.createMs = createMs;
  }

  create(nowMs: number): void {
    if (!this.definitions.readsProfiles) return;
    const changedSegments = new Set<SegmentDefinition>();
    recordProfile(this.state, this.definitions, { createMs: this.createMs, traits: "{}" }, changedSegments);
    this.nextDueMs = earlier(
      this.nextDueMs,
      evaluateSegments(this.state, this.definitions, changedSegments, nowMs).nextDueMs,
    );
  }

  /** Whether the arrival at the position belongs to this profile now. */
  isOwn(position: number): boolean {
    return this.isMerged || !this.otherPositions.has(position);
  }

  /** From here on the identity differs: the state is rebuilt from everything committed by now. */
  changeIdentity(isMerged: boolean, applied: number, nowMs: number): void {
    this.isMerged = isMerged;
    this.rebuild(Math.max(applied, this.committed(nowMs)), nowMs);
  }

  apply(position: number, nowMs: number): void {
    const arrival = this.trace[position - 1];
    if (arrival === undefined || position <= this.state.asOf || !this.isOwn(position)) return;
    const changedSegments = new Set<SegmentDefinition>();
    applyDueEvents(this.state, this.definitions, nowMs, changedSegments);
    this.#record(this.state, arrival, position, nowMs, changedSegments);
    const { nextDueMs } = evaluateSegments(this.state, this.definitions, changedSegments, nowMs);
    this.nextDueMs = earlier(this.nextDueMs, nextDueMs);
    if (needsRebuild(this.state, nowMs)) this.rebuild(Math.max(position, this.committed(nowMs)), nowMs);
  }

  timer(nowMs: number): void {
    if (this.nextDueMs === undefined || this.nextDueMs > nowMs) return;
    this.nextDueMs = evaluateAll(this.state, this.definitions, nowMs).nextDueMs;
    if (needsRebuild(this.state, nowMs)) this.rebuild(this.committed(nowMs), nowMs);
    // A row is never due again at the instant of its evaluation, so the timer loop ends.
    expect(this.nextDueMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
  }

  /** Number of messages of the trace that the producer has committed by now. */
  committed(nowMs: number): number {
    return this.trace.findLastIndex(({ arrivesMs, lagMs }) => arrivesMs - lagMs <= nowMs) + 1;
  }

  rebuild(position: number, nowMs: number): void {
    this.rebuilds += 1;
    const rebuilt = emptyState();
    rebuilt.asOf = position;
    const profile = { createMs: this.createMs, traits: traitsOf(this.trace.slice(0, position)) };
    recordProfile(rebuilt, this.definitions, profile, new Set());
    const arrivals = this.trace
      .slice(0, position)
      .map((arrival, index) => ({ arrival, position: index + 1 }));
    const raw = arrivals.filter((one) => this.isOwn(one.position));
    raw.sort((a, b) => a.arrival.ms - b.arrival.ms || (`e${a.position}` < `e${b.position}` ? -1 : 1));
    for (const one of raw) {
      if (one.arrival.eventName !== undefined)
        this.#record(rebuilt, one.arrival, one.position, nowMs, new Set());
    }
    for (const [id, enteredMs] of this.state.memberships) rebuilt.memberships.set(id, enteredMs);
    this.state = rebuilt;
    this.nextDueMs = evaluateAll(rebuilt, this.definitions, nowMs).nextDueMs;
  }

  #record(
    state: ProfileState,
    { eventName, ms, properties }: Arrival,
    position: number,
    nowMs: number,
    changedSegments: Set<SegmentDefinition>,
  ): void {
    if (eventName === undefined) {
      if (!this.definitions.readsProfiles) return;
      recordProfile(
        state,
        this.definitions,
        { createMs: this.createMs, traits: properties },
        changedSegments,
      );
    } else {
      const event = { eventName, instant: [ms, `e${position}`] as const, properties };
      recordEvent(state, this.definitions, event, nowMs, changedSegments, {
        scheduledEventsMax: this.scheduledEventsMax,
      });
    }
  }
}

function traitsOf(trace: readonly Arrival[]): string {
  return trace.findLast(({ eventName }) => eventName === undefined)?.properties ?? "{}";
}

function rawEventsOf(trace: readonly Arrival[]) {
  return trace.flatMap(({ eventName, ms, properties }) =>
    eventName === undefined ? [] : [{ eventName, ms, properties }],
  );
}

/** Runs the whole trace and fails where a result differs from the raw events. */
function runTrace(
  run: EngineSimulation,
  scale: Scale,
  rebuildTicks: readonly number[],
  mergeTicks: readonly number[] = [],
): void {
  const { trace, definitions } = run;
  let applied = 0;
  for (let tick = 0; tick <= TICKS + TAIL_TICKS; tick += 1) {
    const nowMs = scale.startMs + tick * scale.tickMs;
    if (tick === 0) run.create(nowMs);
    for (let next = trace[applied]; next !== undefined && next.arrivesMs <= nowMs; next = trace[applied]) {
      applied += 1;
      run.apply(applied, nowMs);
    }
    run.timer(nowMs);
    if (mergeTicks.includes(tick)) run.changeIdentity(!run.isMerged, applied, nowMs);
    if (rebuildTicks.includes(tick)) run.rebuild(Math.max(applied, run.committed(nowMs)), nowMs);
    run.state = decodeState(encodeState(run.state));
    const known = trace.slice(0, Math.max(applied, run.state.asOf));
    const referenceContext = { createMs: run.createMs, traits: traitsOf(known), ruleOf: definitions.ruleOf };
    const raw = rawEventsOf(known.filter((_, index) => run.isOwn(index + 1)));
    for (const { id, rule } of definitions.segments.values()) {
      const expected = isMemberByRawEvents(rule, raw, nowMs, referenceContext);
      if (run.state.memberships.has(id) === expected) continue;
      expect.fail(`${id} at tick ${tick}: expected ${expected}`);
    }
  }
}

describe("the engine equals the reference evaluator over the raw events", () => {
  test.each([
    { name: "milliseconds", scale: FINE, numRuns: 1500 },
    { name: "calendar days", scale: COARSE, numRuns: 400 },
  ])(
    "at every tick, with late, reordered and scheduled events: $name",
    async ({ scale, numRuns }) => {
      await checkProperty(
        fc.property(
          fc.array(anyRule(scale), { minLength: 1, maxLength: 5 }),
          anyTrace(scale),
          fc.integer({ min: 1, max: 4 }),
          fc.array(fc.integer({ min: 0, max: TICKS }), { maxLength: 2 }),
          fc.integer({ min: 0, max: 20 }),
          (rules, trace, scheduledEventsMax, rebuildTicks, age) => {
            const run = new EngineSimulation(
              rules,
              trace,
              scheduledEventsMax,
              scale.startMs - age * scale.tickMs,
            );
            runTrace(run, scale, rebuildTicks);
          },
        ),
        { numRuns },
      );
    },
    propertyTimeoutMs(60_000),
  );

  test("and predicts the next change to the millisecond", {
    timeout: propertyTimeoutMs(60_000),
  }, async () => {
    const { startMs } = FINE;
    await checkProperty(
      fc.property(
        fc.array(anyRule(FINE), { minLength: 1, maxLength: 2 }),
        anyTrace(FINE),
        fc.integer({ min: 0, max: TICKS }),
        (rules, trace, tick) => {
          const nowMs = startMs + tick;
          const definitions = new Definitions(1, segmentsOf(rules));
          const past = rawEventsOf(trace).filter(({ ms }) => ms <= nowMs);
          const state = emptyState();
          const profile = { createMs: startMs, traits: traitsOf(trace) };
          recordProfile(state, definitions, profile, new Set());
          // In order, so that no event arrives too late for its position.
          for (const [index, { ms, ...event }] of [...past].sort((a, b) => a.ms - b.ms).entries()) {
            recordEvent(state, definitions, { ...event, instant: [ms, `e${index}`] }, nowMs, new Set());
          }
          const referenceContext: ReferenceContext<EvaluationId> = { ...profile, ruleOf: definitions.ruleOf };
          for (const { rule } of definitions.segments.values()) {
            const evaluation = evaluate(rule, viewOf(state, definitions.ruleOf), nowMs);
            expect(evaluation.member).toBe(isMemberByRawEvents(rule, past, nowMs, referenceContext));
            let changeMs: number | undefined;
            for (let ms = nowMs + 1; changeMs === undefined && ms <= nowMs + 50; ms += 1) {
              if (isMemberByRawEvents(rule, past, ms, referenceContext) !== evaluation.member) changeMs = ms;
            }
            // Midnights of calendar days lie beyond the instants tested here.
            const isSeen = (evaluation.nextChangeAt ?? 0) <= nowMs + 50;
            expect(isSeen ? evaluation.nextChangeAt : undefined).toBe(changeMs);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

test("merged profiles share their events from the merge until it is undone", {
  timeout: propertyTimeoutMs(60_000),
}, async () => {
  await checkProperty(
    fc.property(
      fc.array(anyRule(FINE), { minLength: 1, maxLength: 4 }),
      anyTrace(FINE),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: TICKS }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 4 }),
      (rules, trace, isOther, mergeTicks, scheduledEventsMax) => {
        const run = new EngineSimulation(rules, trace, scheduledEventsMax, FINE.startMs);
        // Traits are not tested: merging traits of two profiles is no task of the engine.
        run.otherPositions = new Set(
          trace.flatMap(({ eventName }, index) =>
            eventName !== undefined && isOther[index % isOther.length] === true ? [index + 1] : [],
          ),
        );
        runTrace(run, FINE, [], mergeTicks);
      },
    ),
    { numRuns: 500 },
  );
});

test.each(Object.entries(anyLeaves(FINE)))(
  "each kind alone, where every event is likely to count: %s",
  async (_kind, leaf) => {
    await checkProperty(
      fc.property(leaf, anyTrace(FINE), fc.integer({ min: 0, max: 20 }), (rule, trace, age) => {
        const ofOneName = trace.map((arrival) => ({ ...arrival, eventName: arrival.eventName && "a" }));
        runTrace(new EngineSimulation([withEventNameA(rule)], ofOneName, 4, FINE.startMs - age), FINE, []);
      }),
      { numRuns: 300 },
    );
  },
  propertyTimeoutMs(60_000),
);

/** The leaf with "a" in place of every event's name. */
function withEventNameA(leaf: Leaf<EvaluationId>): Leaf<EvaluationId> {
  const a = ({ eventName, where }: Matcher) => matcherOf(eventName && "a", where);
  if (leaf.kind === "sequence") return { ...leaf, steps: leaf.steps.map(a) };
  if (leaf.kind === "performed_then_not")
    return { ...leaf, matcher: a(leaf.matcher), thenNot: a(leaf.thenNot) };
  return "matcher" in leaf ? { ...leaf, matcher: a(leaf.matcher) } : leaf;
}

test("an event too late for its position triggers a rebuild, so that orders stay right", {
  timeout: propertyTimeoutMs(60_000),
}, async () => {
  const { startMs } = FINE;
  const a = matcherOf("a");
  const b = matcherOf("b");
  const anyOrdered: fc.Arbitrary<EvaluatedRule> = fc.oneof(
    fc.record({
      kind: fc.constant("performed_then_not" as const),
      matcher: fc.constant(a),
      thenNot: fc.constant(b),
      heldForMs: fc.integer({ min: 1, max: 12 }),
    }),
    fc.record({
      kind: fc.constant("sequence" as const),
      steps: fc.array(fc.constantFrom(a, b), { minLength: 2, maxLength: 4 }),
      withinMs: fc.integer({ min: 1, max: 10 }),
      window: fc.constant({ kind: "last" as const, ms: 20 }),
    }),
  );
  // Mostly As in order, with a very late event now and then.
  const anyLongTrace = fc
    .array(
      fc.record({
        name: fc.constantFrom("a", "a", "a", "b"),
        delay: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 40 })),
      }),
      { minLength: 40, maxLength: 60, size: "max" },
    )
    .map((trace) =>
      trace.map(({ name, delay }, tick): Arrival => {
        const arrivesMs = startMs + tick;
        return { eventName: name, ms: arrivesMs - delay, properties: "{}", arrivesMs, lagMs: 0 };
      }),
    );
  let rebuilds = 0;
  await checkProperty(
    fc.property(fc.array(anyOrdered, { minLength: 1, maxLength: 3 }), anyLongTrace, (rules, trace) => {
      const run = new EngineSimulation(rules, trace, 4, startMs);
      runTrace(run, FINE, []);
      rebuilds += run.rebuilds;
    }),
    { numRuns: 300 },
  );
  expect(rebuilds).toBeGreaterThan(100);
});

test("midnights of calendar days and windows are found to the millisecond", {
  timeout: propertyTimeoutMs(60_000),
}, async () => {
  const { startMs, tickMs } = COARSE;
  const isCalendar = (rule: EvaluatedRule) =>
    leavesOf(rule).some(
      (leaf) => leaf.kind === "active_days" || ("window" in leaf && leaf.window?.kind === "calendar_days"),
    );
  await checkProperty(
    fc.property(
      anyRule(COARSE).filter(isCalendar),
      anyTrace(COARSE),
      fc.integer({ min: 0, max: TICKS }),
      (rule, trace, tick) => {
        const nowMs = startMs + tick * tickMs;
        const definitions = new Definitions(1, segmentsOf([rule]));
        const past = rawEventsOf(trace).filter(({ ms }) => ms <= nowMs);
        const state = emptyState();
        recordProfile(state, definitions, { createMs: startMs, traits: "{}" }, new Set());
        for (const [index, { ms, ...event }] of [...past].sort((a, b) => a.ms - b.ms).entries()) {
          recordEvent(state, definitions, { ...event, instant: [ms, `e${index}`] }, nowMs, new Set());
        }
        const referenceContext = { createMs: startMs, ruleOf: definitions.ruleOf };
        for (const segment of definitions.segments.values()) {
          const { member, nextChangeAt } = evaluate(segment.rule, viewOf(state, definitions.ruleOf), nowMs);
          const isMemberAt = (ms: number) => isMemberByRawEvents(segment.rule, past, ms, referenceContext);
          expect(isMemberAt(nowMs)).toBe(member);
          if (nextChangeAt === undefined) continue;
          expect(isMemberAt(nextChangeAt - 1)).toBe(member);
          expect(isMemberAt(nextChangeAt)).toBe(!member);
        }
      },
    ),
    { numRuns: 1500 },
  );
});
