// Splits lists into chunks, for statements and messages with a bounded number of values.
import { assert } from "./assert.ts";

/** Yields consecutive slices of at most `size` items, in order; an empty list has no chunk. */
export function* chunksOf<Item>(items: readonly Item[], size: number): Generator<Item[], void, undefined> {
  assert(Number.isInteger(size) && size > 0, "a chunk must hold at least one item");
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
