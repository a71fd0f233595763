// Reads what alert rules remember of somebody's past, for that person to read. Pure.
import { isNewest, NewestCell, SumsCell } from "../alerts/history-cell.ts";

export interface Amount {
  readonly orderMs: bigint;
  readonly amount: string;
}

/** A cell's name: its series (16 hex digits), level (2) and place (16), where 2^63 stands for 0. */
const LEVEL_AT = 16;
const PLACE_AT = 18;
const ZERO_PLACE = 1n << 63n;
/** Sums of single instants; those of the levels above are sums of these. */
const INSTANTS_LEVEL = "01";
const INSTANT_BITS = 9n;

/** The amounts of a cell of `alert_history`; none of one whose sums other cells hold too. */
export function amountsOf(id: string, content: Buffer): Amount[] {
  if (isNewest(id)) {
    return NewestCell.decode(content).actions.map(({ orderMs, amount }) => ({
      orderMs,
      amount: decimalText(amount),
    }));
  }
  if (id.slice(LEVEL_AT, PLACE_AT) !== INSTANTS_LEVEL) return [];
  const place = BigInt(`0x${id.slice(PLACE_AT)}`) - ZERO_PLACE;
  return Array.from(SumsCell.decode(content).sums, ([child, sum]) => ({
    orderMs: (place << INSTANT_BITS) | BigInt(child),
    amount: decimalText(sum),
  }));
}

/** Amounts are kept as whole ten-billionths. */
const SCALE = 10;

function decimalText(amount: bigint): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  const whole = digits.slice(0, -SCALE);
  return `${amount < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}
