// Adds doubles without intermediate rounding, so that a sum does not depend on the order of its terms
// (Shewchuk's adaptive-precision addition).

/** Non-overlapping terms of rising magnitude, which together are the exact sum. */
export type Partials = number[];

/** The magnitudes must stay far below the largest double: see AGGREGATE_VALUE_MAX. */
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

/** The double nearest to the exact sum; ties go to the even double. */
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
  // The sign of the next partial decides exact ties.
  const following = partials[index - 1] ?? 0;
  if (index > 0 && ((low < 0 && following < 0) || (low > 0 && following > 0))) {
    const doubled = low * 2;
    const sum = high + doubled;
    if (doubled === sum - high) high = sum;
  }
  // Turns -0 into 0.
  return high + 0;
}
