// Runs property tests of fast-check, in rounds that MUSTER_TEST_ROUNDS multiplies.
import { randomInt } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect } from "vitest";

/** Rounds of each property, with a seed each. `make test-long` takes a hundred. */
const ROUNDS = Number(process.env.MUSTER_TEST_ROUNDS ?? 1);
const SEEDS = 2 ** 31;
const USUAL_SEED = 1;

/**
 * The seed of random tests: always the same in `make test`, which must give one result for one commit, and a new one
 * in `make test-long`, which tries new cases. MUSTER_TEST_SEED chooses it.
 */
export function testSeed(): number {
  return Number(process.env.MUSTER_TEST_SEED ?? (ROUNDS > 1 ? randomInt(SEEDS) : USUAL_SEED));
}

export interface PropertyOptions {
  /** Cases of a round; 100 by default. */
  readonly numRuns?: number;
  /** Skips shrinking, for cases that take long. */
  readonly endOnFailure?: boolean;
}

/**
 * Rejects with a counterexample if the property fails. The message names the seed; MUSTER_TEST_SEED repeats the
 * round with this seed.
 */
export async function checkProperty<Ts>(
  property: fc.IAsyncProperty<Ts> | fc.IProperty<Ts>,
  { numRuns = 100, endOnFailure = false }: PropertyOptions = {},
): Promise<void> {
  const firstSeed = testSeed();
  const name = expect.getState().currentTestName ?? "a property";
  if (ROUNDS > 1) process.stdout.write(`property: ${name}: starts with seed ${firstSeed}\n`);
  for (let round = 0; round < ROUNDS; round += 1) {
    await fc.assert(property as fc.IAsyncProperty<Ts>, {
      numRuns,
      endOnFailure,
      seed: (firstSeed + round) % SEEDS,
    });
    // The worker reports to vitest between rounds, because a property may not yield at all.
    await setImmediate();
  }
  if (ROUNDS > 1) process.stdout.write(`property: ${name}: ${ROUNDS * numRuns} cases passed\n`);
}

/** The timeout of a test with properties: none if the rounds are multiplied. */
export function propertyTimeoutMs(timeoutMs: number): number {
  return ROUNDS > 1 ? 0 : timeoutMs;
}
