// Generates ids that are the same in every run.
import { type IdSource, uuidV7 } from "@muster/core";

/** UUIDv7 whose random part counts from 1, so that golden files are stable and ids show their order. */
export function countingIds(): IdSource {
  let count = 0;
  return {
    next<Id extends string>(nowMs: number): Id {
      count += 1;
      const tail = Buffer.alloc(10);
      tail.writeUInt32BE(count, 6);
      return uuidV7(nowMs, tail) as Id;
    },
  };
}
