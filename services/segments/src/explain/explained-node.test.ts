// Tests the texts of explained nodes.
import type { EvaluationId } from "@muster/core";
import { expect, test } from "vitest";
import { evaluate } from "../engine/evaluation/evaluate.ts";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { EvaluatedRule } from "../engine/rule/rule.ts";
import { recordEvent } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { emptyState, viewOf } from "../engine/state/profile-state.ts";
import { explainNode } from "./explained-node.ts";

const ID = "00000000-0000-7000-8000-000000000001" as EvaluationId;
const NOW_MS = Date.UTC(2026, 5, 1);

test.each([
  {
    events: [
      ["viewed", 0],
      ["bought", 0],
    ],
    steps: 1,
    tie: "bought at 2026-06-01T00:00:00.000Z",
  },
  {
    events: [
      ["bought", 0],
      ["viewed", 0],
    ],
    steps: 1,
    tie: "bought at 2026-06-01T00:00:00.000Z",
  },
  { events: [["viewed", 0]], steps: 1, tie: undefined },
  {
    events: [
      ["bought", -1],
      ["viewed", 0],
    ],
    steps: 1,
    tie: undefined,
  },
  {
    events: [
      ["viewed", -1],
      ["bought", 0],
    ],
    steps: 2,
    tie: undefined,
  },
] as const)("a step at the instant of the step before is named: $events", ({ events, steps, tie }) => {
  const rule: EvaluatedRule = {
    kind: "sequence",
    steps: [matcherOf("viewed"), matcherOf("bought")],
    withinMs: 1000,
    window: undefined,
  };
  const definitions = new Definitions(0, [{ id: ID, rule }]);
  const state = emptyState();
  for (const [index, [eventName, ms]] of events.entries()) {
    const eventId = Buffer.from([index]).toString("base64url").padEnd(22, "A");
    const event = { eventName, instant: [NOW_MS + ms, eventId] as const, properties: "{}" };
    recordEvent(state, definitions, event, NOW_MS, new Set());
  }
  const view = viewOf(state, definitions.ruleOf);
  const node = explainNode(rule, evaluate(rule, view, NOW_MS), view, {
    nowMs: NOW_MS,
    shownSegments: new Set(),
    completeSinceOf: () => 0,
    isUnknown: () => false,
  });
  const reason = tie && `; ${tie} does not count, because it is not later than the step before`;
  expect(node.observed?.text).toBe(`${steps} of 2 steps${reason ?? ""}`);
  expect(node.needed?.text).toBe("viewed, then bought, each later than the one before, within 1 s");
});
