// An event as rules see it: where it stands among the person's others, and which amounts it names. Pure.
import type { TrackedEvent } from "../tracked-events/tracked-event.ts";
import { parseDecimal, parseJsonNumber } from "./decimal.ts";

/** Where an action stands among others of its person: by time, and of one instant by arrival. */
export interface Place {
  /** Exact milliseconds since 1970, past the year 9999 too. */
  readonly orderMs: bigint;
  readonly arrival: number;
}

export interface Action {
  readonly event: TrackedEvent;
  readonly orderMs: bigint;
  /** Amounts by property, exact. */
  readonly amounts: ReadonlyMap<string, bigint>;
}

/** The last instant that is shown, and that anything later is kept at. */
export const LAST_INSTANT_MS = 253_402_300_799_999;
const TIME = "time";

export function actionOf(event: TrackedEvent, properties: ReadonlySet<string>): Action {
  const isLast = event.occurredMs === LAST_INSTANT_MS;
  const asked = isLast ? new Set([...properties, TIME]) : properties;
  const amounts = asked.size === 0 ? noAmounts : readAmounts(event.properties, asked);
  return { event, orderMs: isLast ? lateOrder(amounts) : BigInt(event.occurredMs), amounts };
}

const noAmounts: ReadonlyMap<string, bigint> = new Map();
/** Of decimals: ten-billionths in a unit. */
const UNIT = 10n ** 10n;

/** What happened past the year 9999 is kept at its end, with the second as sent among its properties. */
function lateOrder(amounts: ReadonlyMap<string, bigint>): bigint {
  const last = BigInt(LAST_INSTANT_MS);
  const sent = amounts.get(TIME);
  if (sent === undefined || sent % UNIT !== 0n) return last;
  const sentMs = (sent / UNIT) * 1000n;
  return sentMs > last && sentMs <= BigInt(Number.MAX_SAFE_INTEGER) * 1000n ? sentMs : last;
}

/** JSON.parse as this Node has it: the reviver also sees a number's own text. */
const parseExactly = JSON.parse as (
  text: string,
  reviver: (this: object, key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => Record<string, unknown>;

/** Those of the properties that are numbers, or strings of a decimal's digits; objects within are not looked at. */
function readAmounts(text: string, properties: ReadonlySet<string>): ReadonlyMap<string, bigint> {
  const numbers: { readonly holder: object; readonly key: string; readonly source: string }[] = [];
  const root = parseExactly(text, function (key, value, { source }) {
    if (typeof value === "number" && source !== undefined && properties.has(key)) {
      numbers.push({ holder: this, key, source });
    }
    return value;
  });
  const amounts = new Map<string, bigint>();
  const keep = (key: string, amount: bigint | undefined): void => {
    if (amount !== undefined) amounts.set(key, amount);
  };
  for (const { holder, key, source } of numbers) if (holder === root) keep(key, parseJsonNumber(source));
  for (const key of properties) {
    const value = Object.hasOwn(root, key) ? root[key] : undefined;
    if (typeof value === "string") keep(key, parseDecimal(value));
  }
  return amounts;
}
