// Reads from a tracked event the order and the amounts that alert rules evaluate. Pure.

import { parseDecimal, parseJsonNumber } from "../alert-rules/decimal.ts";
import { LAST_INSTANT_MS, type TrackedEvent } from "../event-storage/tracked-event.ts";

/** A tracked event as alert rules evaluate the event. */
export interface Action {
  readonly event: TrackedEvent;
  readonly orderMs: bigint;
  /** Exact amounts by property, in ten-billionths. */
  readonly amounts: ReadonlyMap<string, bigint>;
}

const TIME = "time";

/** Reads the order and the amounts of `properties` from an event. */
export function actionOf(event: TrackedEvent, properties: ReadonlySet<string>): Action {
  const isLast = event.occurredMs === LAST_INSTANT_MS;
  const requested = isLast ? new Set([...properties, TIME]) : properties;
  const amounts = requested.size === 0 ? NO_AMOUNTS : readAmounts(event.properties, requested);
  return { event, orderMs: isLast ? orderAfterYear9999(amounts) : BigInt(event.occurredMs), amounts };
}

const NO_AMOUNTS: ReadonlyMap<string, bigint> = new Map();
/** Ten-billionths in one unit of a decimal. */
const UNIT = 10n ** 10n;

/**
 * Reads the order of an event after the year 9999: the stored instant is clamped, and the property `time`
 * holds the second as sent.
 */
function orderAfterYear9999(amounts: ReadonlyMap<string, bigint>): bigint {
  const last = BigInt(LAST_INSTANT_MS);
  const sent = amounts.get(TIME);
  if (sent === undefined || sent % UNIT !== 0n) return last;
  const sentMs = (sent / UNIT) * 1000n;
  return sentMs > last && sentMs <= BigInt(Number.MAX_SAFE_INTEGER) * 1000n ? sentMs : last;
}

/** `JSON.parse` as this Node version types it: the reviver also receives the source text of a number. */
const parseExactly = JSON.parse as (
  text: string,
  reviver: (this: object, key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => Record<string, unknown>;

/**
 * Reads top-level properties that hold a number or a string of decimal digits. Nested objects do not count.
 */
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
