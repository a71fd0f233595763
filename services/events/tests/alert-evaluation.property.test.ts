// Compares evaluations from history cells with a reference evaluation over the whole history, without a
// database.
import {
  type OrganizationId,
  type ProfileId,
  systemClock,
  type TrackedEventId,
  WorkBudget,
} from "@muster/core";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { actionOf } from "../src/alert-evaluation/action.ts";
import { ActionHistory } from "../src/alert-evaluation/action-history.ts";
import { loadCells, neededCells } from "../src/alert-evaluation/needed-cells.ts";
import { type Candidate, PersonEvaluation } from "../src/alert-evaluation/person-evaluation.ts";
import { type CellId, pathOf, SumsCell, sumBetween, sumsCellId } from "../src/alert-history/history-cell.ts";
import type { RequestedCells, StoredCell } from "../src/alert-history/history-store.ts";
import type { AlertRule } from "../src/alert-rules/alert-rule.ts";
import { parseDecimal, parseJsonNumber } from "../src/alert-rules/decimal.ts";
import { type EventRules, ruleSet } from "../src/alert-rules/rule-set.ts";
import { type ReferenceAction, ReferenceAlerts, type ReferenceRule } from "./reference-alerts.ts";

const NAMES = ["deposit", "withdraw", "refund"];
const amount = fc
  .tuple(fc.integer({ min: 0, max: 250 }), fc.integer({ min: 0, max: 99 }))
  .map(([whole, part]) => `${whole}.${part}`);
const name = fc.constantFrom(...NAMES);
const action: fc.Arbitrary<ReferenceAction> = fc.record({
  name,
  amount,
  // Most instants are close together; a few are days apart.
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
    version: 1,
    createMs: undefined,
    updateMs: undefined,
  };
}

const profileIds = ["a", "b"] as ProfileId[];
const organizationId = "o" as OrganizationId;

function candidateOf(one: ReferenceAction, profileId: string, eventRules: EventRules): Candidate {
  const event = {
    organizationId,
    id: "e" as TrackedEventId,
    profileId: profileId as ProfileId,
    rootId: "a" as ProfileId,
    name: one.name,
    occurredMs: one.time * 1000,
    receivedMs: 0,
    clientEventId: undefined,
    properties: JSON.stringify({ amount: one.amount }),
  };
  return { action: actionOf(event, eventRules.properties), eventRules };
}

/** The cells of two merged profiles, as a database holds them. */
class StoredCells {
  readonly #contents = new Map<string, Buffer>();

  async *read(requested: readonly RequestedCells[]): AsyncGenerator<StoredCell> {
    for (const { profileId, cells } of requested) {
      for (const id of cells) {
        const content = this.#contents.get(`${profileId}/${id}`);
        if (content !== undefined) yield { profileId, id, content };
      }
    }
  }

  write({ profileId, id, content }: StoredCell): void {
    this.#contents.set(`${profileId}/${id}`, content);
  }
}

async function loadHistory(stored: StoredCells, candidates: readonly Candidate[]): Promise<ActionHistory> {
  const history = new ActionHistory(profileIds);
  const needed = neededCells(organizationId, history, candidates);
  await loadCells(
    new Map(profileIds.map((id) => [id, needed])),
    (requested) => stored.read(requested),
    WorkBudget.inSlices({ clock: systemClock }),
  );
  return history;
}

test("random rules match over random batches as in the reference, when cells are written and read between batches", async () => {
  const sent = fc.tuple(action, fc.constantFrom("a", "b"));
  await checkProperty(
    fc.asyncProperty(
      fc.array(rule, { minLength: 1, maxLength: 6 }),
      fc.array(fc.array(sent, { minLength: 1, maxLength: 60 }), { maxLength: 8 }),
      async (referenceRules, batches) => {
        const rules = referenceRules.map((one, code) => ({ ...one, code }));
        const reference = new ReferenceAlerts(rules);
        const { byEventName } = ruleSet(1, rules.map(toRule), {});
        const stored = new StoredCells();
        let arrival = 0;
        for (const batch of batches) {
          const expected = batch.map(([one]) => reference.record(one));
          const candidates = batch.flatMap(([one, profileId]) => {
            const eventRules = byEventName.get(one.name);
            return eventRules === undefined ? [] : [candidateOf(one, profileId, eventRules)];
          });
          const history = await loadHistory(stored, candidates);
          const evaluation = new PersonEvaluation(history, candidates);
          const first = arrival;
          const fired = candidates.map((one) => evaluation.evaluate(one, ++arrival).map(({ code }) => code));
          expect(fired).toEqual(expected.filter((_, index) => byEventName.has(batch[index]?.[0].name ?? "")));
          for (const [index, one] of candidates.entries()) {
            history.add(one.action, first + index + 1, one.eventRules.series);
          }
          for (const cell of history.changedCells()) stored.write(cell);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("a large batch reads from the trees of sums only cells that exist", async () => {
  const rules = Array.from({ length: 50 }, (_, index) =>
    toRule(
      {
        kind: "window_sum",
        code: index,
        eventName: "deposit",
        threshold: "1",
        windowSeconds: 31_622_400 - index,
      },
      index,
    ),
  );
  const eventRules = ruleSet(1, rules, {}).byEventName.get("deposit");
  if (eventRules === undefined) throw new Error("no rules");
  const candidates = Array.from({ length: 200 }, (_, index) =>
    candidateOf({ name: "deposit", amount: "1.00", time: 1_700_000_000 + index * 7_000 }, "a", eventRules),
  );
  const stored = new StoredCells();
  const [first] = candidates;
  if (first === undefined) throw new Error("no candidate");
  const before = await loadHistory(stored, [first]);
  before.add(first.action, 1, eventRules.series);
  const written = [...before.changedCells()];
  for (const cell of written) stored.write(cell);
  let requestedCells = 0;
  const read = stored.read.bind(stored);
  stored.read = (requested) => {
    requestedCells += requested.reduce((sum, { cells }) => sum + cells.size, 0);
    return read(requested);
  };
  await loadHistory(stored, candidates);
  // The windows begin in different nodes: whole paths would be about 20,000 cells.
  expect(requestedCells).toBeGreaterThanOrEqual(written.length);
  expect(requestedCells).toBeLessThan(20);
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
        (level, index) => {
          const id = sumsCellId(series.id, level, index);
          read.add(id);
          return cells.get(id);
        },
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
