import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { test } from "vitest";
import { compareActionOrder, type HistoryAction } from "../alert-history/history-action.ts";
import { COUNT_MAX } from "../alert-rules/alert-rule.ts";
import { NewestActions } from "./newest-actions.ts";

/** The number of kept actions at the end that rise, from a fresh count. */
function risingCountOf(actions: readonly HistoryAction[]): number {
  const newest = actions.toSorted(compareActionOrder).slice(-COUNT_MAX);
  const amounts = newest.map(({ amount }) => amount).reverse();
  const end = amounts.findIndex((amount, index) => index > 0 && amount >= (amounts[index - 1] ?? 0n));
  return end < 0 ? amounts.length : end;
}

test("the length of the last rise is that of a fresh count, also when the newest actions are full", async () => {
  const actions = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.bigInt({ min: 1n, max: 40n })), {
    minLength: 1,
    maxLength: 30,
  });
  const known = fc.integer({ min: 0, max: 2 * COUNT_MAX });
  await checkProperty(
    fc.property(known, actions, (knownCount, added) => {
      const all = Array.from({ length: knownCount }, (_, arrival) => ({
        orderMs: BigInt(arrival % 25),
        arrival,
        amount: BigInt(1 + ((arrival * 7) % 40)),
      }));
      const newest = new NewestActions(all);
      return added.every(([orderMs, amount], index) => {
        const action = { orderMs: BigInt(orderMs), arrival: knownCount + index, amount };
        all.push(action);
        newest.add(action);
        return newest.risingCount === risingCountOf(all);
      });
    }),
  );
});
