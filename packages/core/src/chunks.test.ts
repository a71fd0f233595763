// Tests that chunks are complete, ordered and bounded.
import { describe, expect, test } from "vitest";
import { chunksOf } from "./chunks.ts";

describe("chunksOf", () => {
  test.each([
    [[], 3, []],
    [[1], 3, [[1]]],
    [[1, 2, 3], 3, [[1, 2, 3]]],
    [[1, 2, 3, 4, 5, 6, 7], 3, [[1, 2, 3], [4, 5, 6], [7]]],
    [[1, 2], 1, [[1], [2]]],
  ])("%j in chunks of %i", (items, size, chunks) => {
    expect([...chunksOf(items, size)]).toEqual(chunks);
  });

  test.each([0, -1, 1.5, Number.NaN])("a size of %d is an error", (size) => {
    expect(() => [...chunksOf([1], size)]).toThrow("at least one item");
  });
});
