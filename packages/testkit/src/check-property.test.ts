import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkProperty } from "./check-property.ts";

describe("checkProperty", () => {
  test("runs as many cases as requested, in every round", async () => {
    let runs = 0;
    const property = fc.property(fc.integer(), () => {
      runs += 1;
    });
    await checkProperty(property, { numRuns: 7 });
    expect(runs).toBe(7 * Number(process.env.MUSTER_TEST_ROUNDS ?? 1));
  });

  test("a failed property names the seed and the counterexample", async () => {
    const isSmall = async (value: number): Promise<boolean> => value < 5;
    for (const property of [
      fc.property(fc.nat(), (value) => value < 5),
      fc.asyncProperty(fc.nat(), isSmall),
    ]) {
      await expect(checkProperty<[number]>(property)).rejects.toThrow(
        /seed: \d+,[\s\S]*Counterexample: \[5\]/,
      );
    }
  });
});
