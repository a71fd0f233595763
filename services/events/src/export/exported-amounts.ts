// Decodes the alert history of a profile for an export. Pure.
import { isNewest, NewestCell, SumsCell } from "../alert-history/history-cell.ts";

/** An amount with the order of the event in milliseconds since 1970. */
export interface Amount {
  readonly orderMs: bigint;
  readonly amount: string;
}

/** The id of a cell: series (16 hex digits), level (2) and index (16), where 2^63 represents index 0. */
const LEVEL_AT = 16;
const INDEX_AT = 18;
const ZERO_INDEX = 1n << 63n;
/** The level with the sums of single instants; higher levels hold sums of these. */
const INSTANTS_LEVEL = "01";
const INSTANT_BITS = 9n;

/** Returns the amounts of a cell of `alert_history`. A cell whose sums repeat other cells has no amounts. */
export function amountsOf(id: string, content: Buffer): Amount[] {
  if (isNewest(id)) {
    return NewestCell.decode(content).actions.map(({ orderMs, amount }) => ({
      orderMs,
      amount: decimalText(amount),
    }));
  }
  if (id.slice(LEVEL_AT, INDEX_AT) !== INSTANTS_LEVEL) return [];
  const index = BigInt(`0x${id.slice(INDEX_AT)}`) - ZERO_INDEX;
  return Array.from(SumsCell.decode(content).sums, ([child, sum]) => ({
    orderMs: (index << INSTANT_BITS) | BigInt(child),
    amount: decimalText(sum),
  }));
}

/** Amounts are stored as ten-billionths. */
const SCALE = 10;

function decimalText(amount: bigint): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  const whole = digits.slice(0, -SCALE);
  return `${amount < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}
