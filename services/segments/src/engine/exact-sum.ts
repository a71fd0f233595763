// Sums of doubles without rounding on the way, so that a sum does not depend on the order of its terms
// (Shewchuk's adaptive-precision addition).

/** Terms of rising magnitude that do not overlap: together they are the exact sum. */
export type Partials = number[];

/** The terms' magnitudes must leave room: see AGGREGATE_VALUE_MAX. */
export function addExactly(partials: Partials, term: number): void {
  let carried = term;
  let kept = 0;
  for (const partial of partials) {
    const [large, small] = Math.abs(carried) < Math.abs(partial) ? [partial, carried] : [carried, partial];
    const high = large + small;
    const low = small - (high - large);
    if (low !== 0) {
      partials[kept] = low;
      kept += 1;
    }
    carried = high;
  }
  partials.length = kept;
  partials.push(carried);
}

/** The double nearest to the exact sum; of two equally near the even one. */
export function roundedSum(partials: readonly number[]): number {
  let index = partials.length - 1;
  let high = partials[index] ?? 0;
  let low = 0;
  while (index > 0 && low === 0) {
    index -= 1;
    const next = partials[index] ?? 0;
    const sum = high + next;
    low = next - (sum - high);
    high = sum;
  }
  // Half-way cases are decided by the sign of what follows.
  const following = partials[index - 1] ?? 0;
  if (index > 0 && ((low < 0 && following < 0) || (low > 0 && following > 0))) {
    const doubled = low * 2;
    const sum = high + doubled;
    if (doubled === sum - high) high = sum;
  }
  // Never -0, which is no other sum.
  return high + 0;
}
