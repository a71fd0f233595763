// Scenarios as step tables: submit events, advance the clock, compare members. Reads include all earlier
// steps.
import type { ProfileId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

/** Event times count from the start of the table; steps follow each other. */
type Step =
  | { readonly submit: readonly (readonly [who: string, name: string, atMs: number])[] }
  | { readonly advanceMs: number }
  | { readonly members: readonly string[] };

interface Scenario {
  readonly title: string;
  readonly segment:
    | { readonly eventName: string; readonly minCount: number; readonly withinDays?: number }
    | "abandoned-cart";
  readonly steps: readonly Step[];
}

const SCENARIOS: readonly Scenario[] = [
  {
    title: "a window drops the oldest event exactly at its end",
    segment: { eventName: "viewed", minCount: 2, withinDays: 1 },
    steps: [
      {
        submit: [
          ["ada", "viewed", -1000],
          ["ada", "viewed", 0],
          ["bo", "viewed", 0],
        ],
      },
      { members: ["ada"] },
      { advanceMs: DAY_MS - 1001 },
      { members: ["ada"] },
      { advanceMs: 1 },
      { members: [] },
    ],
  },
  {
    title: "a later event keeps the membership and moves its end",
    segment: { eventName: "viewed", minCount: 1, withinDays: 1 },
    steps: [
      { submit: [["ada", "viewed", 0]] },
      { advanceMs: DAY_MS / 2 },
      { submit: [["ada", "viewed", DAY_MS / 2]] },
      { advanceMs: DAY_MS / 2 },
      { members: ["ada"] },
      { advanceMs: DAY_MS / 2 - 1 },
      { members: ["ada"] },
      { advanceMs: 1 },
      { members: [] },
    ],
  },
  {
    title: "late and out-of-order events count by their timestamp",
    segment: { eventName: "viewed", minCount: 2, withinDays: 1 },
    steps: [
      { submit: [["ada", "viewed", 0]] },
      { submit: [["ada", "viewed", -2 * DAY_MS]] },
      { members: [] },
      { submit: [["ada", "viewed", -DAY_MS + 5]] },
      { members: ["ada"] },
      { advanceMs: 5 },
      { members: [] },
    ],
  },
  {
    title: "an event dated in the future counts from its timestamp on",
    segment: { eventName: "viewed", minCount: 1 },
    steps: [
      { submit: [["ada", "viewed", 500]] },
      { members: [] },
      { advanceMs: 499 },
      { members: [] },
      { advanceMs: 1 },
      { members: ["ada"] },
    ],
  },
  {
    title: "a cart stays abandoned until an order with an equal or later timestamp",
    segment: "abandoned-cart",
    steps: [
      {
        submit: [
          ["ada", "cart.added", 0],
          ["bo", "cart.added", 0],
          ["cy", "cart.added", 0],
        ],
      },
      {
        submit: [
          ["ada", "order.completed", -1],
          ["bo", "order.completed", 0],
        ],
      },
      { members: ["ada", "cy"] },
      { advanceMs: 10 },
      {
        submit: [
          ["cy", "order.completed", 10],
          ["bo", "cart.added", 9],
        ],
      },
      { members: ["ada", "bo"] },
      { submit: [["bo", "order.completed", 20]] },
      { members: ["ada", "bo"] },
      { advanceMs: 10 },
      { members: ["ada"] },
    ],
  },
  {
    title: "future events beyond the stored number are read from the raw events in time",
    segment: { eventName: "viewed", minCount: 40 },
    steps: [
      { submit: Array.from({ length: 45 }, (_, index) => ["ada", "viewed", 100 + index] as const) },
      { advanceMs: 100 + 38 },
      { members: [] },
      { advanceMs: 1 },
      { members: ["ada"] },
    ],
  },
];

describe.each(ENGINES)("scenarios on %s", (engine) => {
  let harness: SegmentsHarness;
  beforeAll(async () => {
    harness = await openHarness(engine);
  });
  afterAll(() => harness.close());

  test.each(SCENARIOS)("$title", async ({ segment, steps }) => {
    const organizationId = harness.newOrganization();
    const client = harness.first.as(organizationId);
    let segmentId = "abandoned-cart";
    if (segment !== "abandoned-cart") {
      segmentId = (await client.createSegment({ name: "Watched", ...segment })).segment?.id ?? "";
    }
    const startMs = harness.clock.nowMs();
    const people = new Map<string, ProfileId>();
    const idOf = (who: string): ProfileId => {
      const id = people.get(who) ?? harness.newProfile();
      people.set(who, id);
      return id;
    };
    for (const [index, step] of steps.entries()) {
      if ("submit" in step) {
        const events = step.submit.map(([who, name, atMs]) => ({
          organizationId,
          profileId: idOf(who),
          name,
          ms: startMs + atMs,
        }));
        await harness.events.submit(events);
      } else if ("advanceMs" in step) harness.clock.setNowMs(harness.clock.nowMs() + step.advanceMs);
      else {
        const ids = await membersOf(client, segmentId);
        const names = [...people].filter(([, id]) => ids.includes(id)).map(([who]) => who);
        expect(names.sort(), `step ${index}`).toEqual([...step.members]);
      }
    }
  });
});
