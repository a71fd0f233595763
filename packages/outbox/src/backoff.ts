// Computes the wait after consecutive failures: doubling, capped, and random, so that callers that failed
// together do not retry together.
import { randomInt } from "node:crypto";

export interface BackoffRange {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Between half and all of min(maxMs, minMs · 2^(failures − 1)). */
export function backoffMs(failures: number, range: BackoffRange): number {
  const full = Math.min(range.maxMs, range.minMs * 2 ** Math.min(failures - 1, 30));
  return Math.ceil(full / 2) + randomInt(Math.floor(full / 2) + 1);
}
