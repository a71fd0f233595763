// Compares evaluations from history cells with a reference evaluation over the whole history, without a
// database.
import type { OrganizationId, ProfileId, TrackedEventId } from "@muster/core";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { actionOf } from "../src/alert-evaluation/action.ts";
import { ActionHistory, cellsOf } from "../src/alert-evaluation/action-history.ts";
import { matches } from "../src/alert-evaluation/evaluate-alert.ts";
import { type CellId, pathOf, SumsCell, sumBetween } from "../src/alert-history/history-cell.ts";
import type { AlertRule } from "../src/alert-rules/alert-rule.ts";
import { parseDecimal, parseJsonNumber } from "../src/alert-rules/decimal.ts";
import { ruleSet } from "../src/alert-rules/rule-set.ts";
import { type ReferenceAction, ReferenceAlerts, type ReferenceRule } from "./reference-alerts.ts";

const NAMES = ["deposit", "withdraw", "refund"];
const amount = fc
  .tuple(fc.integer({ min: 0, max: 250 }), fc.integer({ min: 0, max: 99 }))
  .map(([whole, part]) => `${whole}.${part}`);
const name = fc.constantFrom(...NAMES);
const action: fc.Arbitrary<ReferenceAction> = fc.record({
  name,
  amount,
  // Most instants are close together; some are days apart.
  time: fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: -4e9, max: 4e9 })),
});
const rule: fc.Arbitrary<ReferenceRule> = fc
  .oneof(
    fc.record({ kind: fc.constant("threshold" as const), eventName: name, threshold: amount }),
    fc.record({
      kind: fc.constant("consecutive" as const),
      eventName: fc.constant("withdraw"),
      otherEventNames: fc.subarray(["deposit", "refund"]),
      count: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({
      kind: fc.constant("rising" as const),
      eventName: name,
      count: fc.integer({ min: 2, max: 4 }),
    }),
    fc.record({
      kind: fc.constant("window_sum" as const),
      eventName: name,
      threshold: amount,
      windowSeconds: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 31_622_400 })),
    }),
  )
  .map((one) => ({ ...one, code: 0 }));

function toRule(reference: ReferenceRule, index: number): AlertRule {
  return {
    id: `rule-${index}`,
    code: index,
    name: "",
    kind: reference.kind,
    eventName: reference.eventName,
    otherEventNames: reference.kind === "consecutive" ? reference.otherEventNames : [],
    property: "amount",
    threshold: "threshold" in reference ? reference.threshold : undefined,
    count: "count" in reference ? reference.count : undefined,
    windowSeconds: reference.kind === "window_sum" ? reference.windowSeconds : undefined,
    isEnabled: true,
    createMs: undefined,
    updateMs: undefined,
  };
}

test("random rules match over random histories as in the reference, when cells are written and read at every step", async () => {
  await checkProperty(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 6 }),
      fc.array(fc.tuple(action, fc.constantFrom("a", "b")), { maxLength: 60 }),
      (referenceRules, actions) => {
        const rules = referenceRules.map((one, code) => ({ ...one, code }));
        const reference = new ReferenceAlerts(rules);
        const { byEventName } = ruleSet(1, rules.map(toRule), {});
        const stored = new Map<string, Buffer>();
        for (const [arrival, [one, profile]] of actions.entries()) {
          const eventRules = byEventName.get(one.name);
          const expected = reference.record(one);
          if (eventRules === undefined) {
            expect(expected).toEqual([]);
            continue;
          }
          const event = {
            organizationId: "o" as OrganizationId,
            id: "e" as TrackedEventId,
            profileId: profile as ProfileId,
            rootId: "a" as ProfileId,
            name: one.name,
            occurredMs: one.time * 1000,
            receivedMs: 0,
            clientEventId: undefined,
            properties: JSON.stringify({ amount: one.amount }),
          };
          const evaluated = actionOf(event, eventRules.properties);
          const history = new ActionHistory(["a", "b"] as ProfileId[]);
          const wanted = new Set<CellId>(cellsOf(evaluated, eventRules));
          for (const profileId of ["a", "b"] as ProfileId[]) {
            for (const id of wanted) {
              const content = stored.get(`${profileId}/${id}`);
              if (content !== undefined) history.load(profileId, id, content);
            }
          }
          history.add(evaluated, arrival, eventRules.series);
          const fired = eventRules.evaluated.filter((identityDrafts) =>
            matches(identityDrafts, evaluated, history),
          );
          expect(fired.map(({ code }) => code)).toEqual(expected);
          for (const { profileId, id, content } of history.changedCells()) {
            // Every written cell was read before.
            expect(wanted.has(id)).toBe(true);
            stored.set(`${profileId}/${id}`, content);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a sum over any range equals the sum of the instants and reads few cells", () => {
  const cells = new Map<CellId, SumsCell>();
  const history = new ActionHistory(["a" as ProfileId]);
  const series = { id: "0".repeat(16), form: "sums" as const, eventName: "n", property: "p" };
  const instants: bigint[] = [];
  for (let index = 0; index < 20_000; index += 1) {
    const ms = BigInt((index * 7_919_993) % 2_592_000_000) - 1_000_000_000n;
    instants.push(ms);
    const event = { profileId: "a" as ProfileId, receivedMs: 0 };
    history.add({ event, orderMs: ms, amounts: new Map([["p", 3n]]) } as never, index, [series]);
  }
  for (const { id, content } of history.changedCells()) {
    expect(content.length).toBeLessThan(512 * 20);
    cells.set(id, SumsCell.decode(content));
  }
  const edges = [
    -1_000_000_001n,
    -1_000_000_000n,
    -1n,
    0n,
    1n,
    511n,
    512n,
    900_000_001n,
    1_591_999_999n,
    2n ** 33n,
  ];
  for (const from of edges) {
    for (const to of edges.filter((edge) => edge >= from)) {
      const read = new Set<CellId>();
      const sum = sumBetween(
        (id) => {
          read.add(id);
          return cells.get(id);
        },
        series.id,
        from,
        to,
      );
      expect(sum).toBe(3n * BigInt(instants.filter((ms) => ms >= from && ms <= to).length));
      const paths = new Set([...pathOf(series.id, from), ...pathOf(series.id, to)]);
      expect([...read].filter((id) => !paths.has(id))).toEqual([]);
    }
  }
});

test.each([
  ["0", 0n],
  ["100", 1_000_000_000_000n],
  ["-1.5", -15_000_000_000n],
  ["007.10", 71_000_000_000n],
  ["0.0000000001", 1n],
  ["0.00000000010000", 1n],
  ["0.00000000001", undefined],
  ["9".repeat(30), 10n ** 40n - 10n ** 10n],
  ["1".repeat(31), undefined],
  ["0".repeat(65), undefined],
  ["", undefined],
  [".5", undefined],
  ["5.", undefined],
  ["+1", undefined],
  ["1e2", undefined],
  [" 1", undefined],
  ["Infinity", undefined],
])("the decimal %j", (text, value) => {
  expect(parseDecimal(text)).toBe(value);
});

test.each([
  ["1e2", 1_000_000_000_000n],
  ["1.005E+2", 1_005_000_000_000n],
  ["-25e-1", -25_000_000_000n],
  ["0.1", 1_000_000_000n],
  ["9007199254740993", 90_071_992_547_409_930_000_000_000n],
  ["0e999", 0n],
  ["1e-10", 1n],
  ["1e-11", undefined],
  ["1e30", undefined],
  ["1e9999", undefined],
])("the JSON number %s", (text, value) => {
  expect(parseJsonNumber(text)).toBe(value);
});
