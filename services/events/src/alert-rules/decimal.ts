// Parses exact decimals into whole numbers of ten-billionths. Pure.

/** Digits after the dot. */
const SCALE = 10;
const WHOLE_DIGITS_MAX = 30;
const LIMIT = 10n ** BigInt(WHOLE_DIGITS_MAX + SCALE);
/** Longer texts are not amounts, even if most digits are zeros. */
const CHARACTERS_MAX = 64;

/**
 * Accepts an optional sign, digits, and an optional dot with digits. Returns undefined for other texts and
 * beyond 30 + 10 digits.
 */
export function parseDecimal(text: string): bigint | undefined {
  if (text.length > CHARACTERS_MAX) return undefined;
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  return match === null ? undefined : scaled(match[1] === "-", match[2] ?? "", match[3] ?? "", 0);
}

/** Parses a JSON number by the digits of the text, not by the nearest double. */
export function parseJsonNumber(text: string): bigint | undefined {
  if (text.length > CHARACTERS_MAX) return undefined;
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null) return undefined;
  return scaled(match[1] === "-", match[2] ?? "", match[3] ?? "", Number(match[4] ?? "0"));
}

function scaled(isNegative: boolean, whole: string, fraction: string, exponent: number): bigint | undefined {
  const digits = BigInt(whole + fraction);
  if (digits === 0n) return 0n;
  const shift = exponent - fraction.length + SCALE;
  let value: bigint;
  if (shift >= 0) {
    value = digits * 10n ** BigInt(shift);
  } else {
    const divisor = 10n ** BigInt(-shift);
    if (digits % divisor !== 0n) return undefined;
    value = digits / divisor;
  }
  if (value >= LIMIT) return undefined;
  return isNegative ? -value : value;
}
