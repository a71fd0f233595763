// Rows in the order of their keys: two batches that write in it never wait for each other in a ring.
import type { Value } from "@muster/db";

/** Orders rows by their first columns, the key's. */
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
