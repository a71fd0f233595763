// Reads the Range header for a body of known size. Pure.

/** A part of a body: `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One range in bytes: "0-99", "100-" or "-50", for the last 50 bytes. */
const ONE_RANGE = /^bytes=[\t ]*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))[\t ]*$/i;

/**
 * Returns the range, "unsatisfiable", or undefined where the header is ignored: another unit, bad syntax, or several
 * ranges, which a server may refuse to assemble.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  const found = header === undefined ? null : ONE_RANGE.exec(header);
  if (found === null) return undefined;
  const [, first, last, suffix] = found;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  const inclusive = last === "" ? size - 1 : Number(last);
  if (last !== "" && inclusive < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end: Math.min(inclusive + 1, size) };
}
