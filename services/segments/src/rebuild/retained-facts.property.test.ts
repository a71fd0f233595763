// Simulates retention with random rules and traces, with purges, rebuilds, lost messages and late segments.
// Every result without a `completeSince` must be exact.

import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Arrival, anyRule, anyTrace, FINE, TAIL_TICKS, TICKS } from "../../tests/random-rules.ts";
import { type PlannedAction, RetentionSimulation } from "../../tests/retention-simulation.ts";
import { matcherOf } from "../engine/rule/matcher.ts";

/** Sometimes many events are committed but not yet applied. */
function anyLag(trace: readonly Arrival[]): fc.Arbitrary<readonly Arrival[]> {
  return fc
    .constantFrom(1, 4)
    .map((factor) => trace.map((arrival) => ({ ...arrival, lagMs: arrival.lagMs * factor })));
}

test("with retention: windows are exact, complete facts are complete, and no count ever falls", {
  timeout: propertyTimeoutMs(60_000),
}, async () => {
  const anyAction: fc.Arbitrary<PlannedAction> = fc.record<PlannedAction>({
    tick: fc.integer({ min: 0, max: TICKS + TAIL_TICKS }),
    action: fc.oneof(
      { weight: 10, arbitrary: fc.constantFrom("purge", "rebuild") },
      { weight: 1, arbitrary: fc.constantFrom("lose a message", "add a segment", "finish the backfill") },
    ),
  });
  let [checked, beyond] = [0, 0];
  await checkProperty(
    fc.property(
      fc.record({
        rules: fc.array(anyRule(FINE), { minLength: 1, maxLength: 5 }),
        trace: anyTrace(FINE).chain(anyLag),
        keepMs: fc.integer({ min: 1, max: TICKS }),
        scheduledEventsMax: fc.integer({ min: 1, max: 4 }),
        readsOwnEvents: fc.boolean(),
        actions: fc.array(anyAction, { maxLength: 30, size: "max" }),
      }),
      (plan) => {
        const simulation = new RetentionSimulation(plan);
        simulation.run();
        checked += simulation.checked;
        beyond += simulation.beyond;
      },
    ),
    { numRuns: 1500 },
  );
  // Both kinds of results occurred.
  expect(checked).toBeGreaterThan(10_000);
  expect(beyond).toBeGreaterThan(1_000);
});

const addAndFinish = fc.constantFrom<PlannedAction["action"]>("add a segment", "finish the backfill");

test("backfills that read their own events alone keep the facts of all other rules", {
  timeout: propertyTimeoutMs(60_000),
}, async () => {
  const anyAction = fc.record<PlannedAction>({
    tick: fc.integer({ min: 0, max: TICKS + TAIL_TICKS }),
    action: fc.oneof(
      { weight: 6, arbitrary: addAndFinish },
      { weight: 1, arbitrary: fc.constantFrom("purge", "rebuild", "lose a message") },
    ),
  });
  let checked = 0;
  await checkProperty(
    fc.property(
      fc.record({
        rules: fc.array(anyRule(FINE), { minLength: 2, maxLength: 5 }),
        trace: anyTrace(FINE).chain(anyLag),
        keepMs: fc.constant(TICKS),
        scheduledEventsMax: fc.integer({ min: 1, max: 4 }),
        readsOwnEvents: fc.constant(true),
        actions: fc.array(anyAction, { minLength: 2, maxLength: 12, size: "max" }),
      }),
      (plan) => {
        const simulation = new RetentionSimulation(plan);
        simulation.run();
        checked += simulation.checked;
      },
    ),
    { numRuns: 800 },
  );
  expect(checked).toBeGreaterThan(10_000);
});

// Found by the property above with another seed.
test("a fact that a later event creates is as incomplete as its backfill", () => {
  const { startMs } = FINE;
  const arrival = (ms: number, arrivesMs: number): Arrival => ({
    eventName: "c",
    properties: "{}",
    ms,
    arrivesMs,
    lagMs: 0,
  });
  for (const arrivesMs of [startMs + 36, startMs + 45]) {
    const simulation = new RetentionSimulation({
      rules: [
        {
          kind: "occurrence",
          which: "first",
          matcher: matcherOf("c"),
          when: { kind: "before", ms: startMs },
        },
      ],
      trace: [arrival(startMs - 1, startMs), arrival(startMs + 45, arrivesMs)],
      keepMs: 1,
      scheduledEventsMax: 1,
      readsOwnEvents: false,
      actions: [
        { tick: 0, action: "add a segment" },
        { tick: 2, action: "purge" },
        { tick: 2, action: "finish the backfill" },
      ],
    });
    simulation.run();
    // Only the two ticks before the backfill ends are not compared.
    expect(simulation.checked).toBe(0);
    expect(simulation.beyond).toBe(TICKS + TAIL_TICKS + 1 - 2);
  }
});
