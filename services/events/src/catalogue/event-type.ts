// What an event type is, what makes one valid, and points exact to the last decimal. Pure.
import type { FieldError } from "@muster/errors";

/** Of an organisation, the installation's defaults included. */
export const EVENT_TYPES_MAX = 1000;
const NAME_BYTES_MAX = 255;
const DESCRIPTION_BYTES_MAX = 1024;
const MILLION = 1_000_000;
const PRICE_MAX = 1_000_000_000;

export interface EventType {
  readonly name: string;
  readonly description: string;
  /** What one event earns, in millionths of a point: a whole number, so that sums are exact. */
  readonly priceMillionths: number;
}

/** An event type as somebody writes it. */
export interface WrittenEventType {
  readonly name: string;
  readonly description: string;
  readonly price: number;
}

/** What is wrong with an event type as written, by field. */
export function eventTypeProblems({ name, description, price }: WrittenEventType): FieldError[] {
  const problems: FieldError[] = [];
  const add = (field: string, message: string): void => void problems.push({ field, message });
  if (name === "") add("name", "must not be empty");
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) add("name", `is at most ${NAME_BYTES_MAX} bytes`);
  if (!name.isWellFormed()) add("name", "must be valid Unicode");
  if (Buffer.byteLength(description) > DESCRIPTION_BYTES_MAX)
    add("description", `is at most ${DESCRIPTION_BYTES_MAX} bytes`);
  if (!description.isWellFormed()) add("description", "must be valid Unicode");
  if (!(price >= 0 && price <= PRICE_MAX)) add("price", `must be a number from 0 to ${PRICE_MAX}`);
  else if (toMillionths(price) / MILLION !== price) add("price", "has at most 6 decimals");
  return problems;
}

/** Of a written type that has no problem. */
export function eventTypeOf({ name, description, price }: WrittenEventType): EventType {
  return { name, description, priceMillionths: toMillionths(price) };
}

export function priceOf({ priceMillionths }: EventType): number {
  return priceMillionths / MILLION;
}

function toMillionths(price: number): number {
  // Plus 0, which makes -0 a 0.
  return Math.round(price * MILLION) + 0;
}

/** The double nearest to the exact sum. */
export function pointsOf(millionths: bigint): number {
  const whole = millionths / BigInt(MILLION);
  const rest = millionths % BigInt(MILLION);
  return Number(`${whole}.${String(rest).padStart(6, "0")}`);
}
