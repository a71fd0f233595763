// Applies many events of one profile: the event loop turns in between, and the turns change no result.
import type { Clock, EvaluationId, OrganizationId, ProfileId } from "@muster/core";
import { FakeClock } from "@muster/testkit";
import { expect, test } from "vitest";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { EvaluatedRule } from "../engine/rule/rule.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { TransactionSlices } from "../transaction-slices.ts";
import { applyToProfile, type ProfileWork } from "./apply-to-profile.ts";

const SEGMENTS = 40;
const EVENTS = 60;

/** A clock that moves by `stepMs` with each read. */
function tickingClock(stepMs: number): Clock {
  const clock = new FakeClock();
  let elapsedMs = 0;
  return {
    nowMs: () => clock.nowMs(),
    sleep: clock.sleep.bind(clock),
    monotonicMs() {
      elapsedMs += stepMs;
      return elapsedMs;
    },
  };
}

async function apply(clock: Clock): Promise<{ readonly turns: number; readonly entered: string[] }> {
  const nowMs = clock.nowMs();
  const definitions = new Definitions(
    1,
    Array.from({ length: SEGMENTS }, (_, index) => {
      const count = { kind: "at_least", n: index + 30 } as const;
      const rule: EvaluatedRule = {
        kind: "performed",
        matcher: matcherOf("viewed"),
        count,
        window: undefined,
      };
      return { id: `segment ${index}` as EvaluationId, rule };
    }),
  );
  const key = { organizationId: "o" as OrganizationId, profileId: "p" as ProfileId, shard: 1 };
  const work: ProfileWork = {
    key,
    definitions,
    updates: Array.from({ length: EVENTS }, (_, index) => ({
      position: index + 1,
      event: {
        ...key,
        receivedMs: nowMs,
        eventName: "viewed",
        instant: [nowMs - index, `e${index}`] as const,
        properties: "{}",
      },
    })),
  };
  let turns = 0;
  let isDone = false;
  const countTurns = (): void => {
    if (isDone) return;
    turns += 1;
    setImmediate(countTurns);
  };
  setImmediate(countTurns);
  const matcher = { eventMatch: () => undefined, traitMatch: () => undefined };
  const slices = new TransactionSlices(clock);
  const { changes } = await applyToProfile(work, undefined, { nowMs, matcher, slices, unknownPredicates: 0 });
  isDone = true;
  return { turns, entered: changes.map(({ evaluationId }) => evaluationId) };
}

test("the event loop turns after each slice, between events and between segments", async () => {
  const { turns, entered } = await apply(tickingClock(20));
  expect(turns).toBeGreaterThan(EVENTS + SEGMENTS - 10);
  const whole = await apply(tickingClock(0));
  expect(whole.turns).toBe(0);
  expect(entered).toEqual(whole.entered);
  expect(entered).toHaveLength(31);
});
