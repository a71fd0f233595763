// Orders rows by key, so that two batches that write in this order cannot deadlock.
import type { Value } from "@muster/db";

/** Returns a comparator for rows whose first columns are the key. */
export function compareRows(columnCount: number) {
  return (a: readonly Value[], b: readonly Value[]): number => {
    for (let column = 0; column < columnCount; column += 1) {
      const left = a[column];
      const right = b[column];
      const order =
        left instanceof Buffer && right instanceof Buffer
          ? Buffer.compare(left, right)
          : Number(left) - Number(right);
      if (order !== 0) return order;
    }
    return 0;
  };
}
