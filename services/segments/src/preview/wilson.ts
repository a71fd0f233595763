// Estimates a count from a random sample, with an error bound by Wilson's score interval. The known members
// and non-members of the sample limit the interval. Pure.

/** In a normal distribution, 95 % lie within this many standard deviations. */
const Z_95 = 1.959964;

export interface Estimate {
  readonly count: number;
  /** With 95 % confidence the true count is at most this far from `count`. */
  readonly errorBound: number;
}

/** `holding` of `sampled` profiles, drawn at random from `total`, are members. */
export function estimateCount(holding: number, sampled: number, total: number): Estimate {
  if (sampled >= total) return { count: holding, errorBound: 0 };
  if (sampled === 0) return { count: 0, errorBound: total };
  const share = holding / sampled;
  const count = Math.round(share * total);
  const z2 = Z_95 ** 2;
  const denominator = 1 + z2 / sampled;
  const center = (share + z2 / (2 * sampled)) / denominator;
  const half = (Z_95 * Math.sqrt((share * (1 - share)) / sampled + z2 / (4 * sampled ** 2))) / denominator;
  // The sampled profiles are known exactly.
  const low = Math.max(holding, (center - half) * total);
  const high = Math.min(total - (sampled - holding), (center + half) * total);
  return { count, errorBound: Math.ceil(Math.max(count - low, high - count, 0)) };
}
