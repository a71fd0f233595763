// Exact decimals: whole numbers of ten-billionths. Pure.

/** Digits after the dot. */
const SCALE = 10;
const WHOLE_DIGITS_MAX = 30;
const LIMIT = 10n ** BigInt(WHOLE_DIGITS_MAX + SCALE);
/** Longer texts are no amounts, however many of their digits are zeros. */
const CHARACTERS_MAX = 64;

/** Digits, perhaps a sign, a dot and more digits; undefined for anything else, and past 30 + 10 digits. */
export function parseDecimal(text: string): bigint | undefined {
  if (text.length > CHARACTERS_MAX) return undefined;
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  return match === null ? undefined : scaled(match[1] === "-", match[2] ?? "", match[3] ?? "", 0);
}

/** A number as JSON writes it, by its digits and not by the nearest double. */
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
