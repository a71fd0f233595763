// Defines event types, their validation and exact points. Pure.
import type { FieldError } from "@muster/errors";

/** Event types in the catalog of an organization, default types included. */
export const EVENT_TYPES_MAX = 1000;
const NAME_BYTES_MAX = 255;
const DESCRIPTION_BYTES_MAX = 1024;
const MILLION = 1_000_000;
const PRICE_MAX = 1_000_000_000;

/** An event name that earns points. */
export interface EventType {
  readonly name: string;
  readonly description: string;
  /** Millionths of a point for one event: an integer, so that sums are exact. */
  readonly priceMillionths: number;
}

/** An event type as written by a caller or in the catalog file. */
export interface EventTypeInput {
  readonly name: string;
  readonly description: string;
  readonly price: number;
}

/** Returns the problems of a written event type, by field. */
export function eventTypeProblems({ name, description, price }: EventTypeInput): FieldError[] {
  const problems: FieldError[] = [];
  const add = (field: string, message: string): void => void problems.push({ field, message });
  if (name === "") add("name", "must not be empty");
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) add("name", `must be at most ${NAME_BYTES_MAX} bytes`);
  if (!name.isWellFormed()) add("name", "must be valid Unicode");
  if (Buffer.byteLength(description) > DESCRIPTION_BYTES_MAX)
    add("description", `must be at most ${DESCRIPTION_BYTES_MAX} bytes`);
  if (!description.isWellFormed()) add("description", "must be valid Unicode");
  if (!(price >= 0 && price <= PRICE_MAX)) add("price", `must be a number from 0 to ${PRICE_MAX}`);
  else if (toMillionths(price) / MILLION !== price) add("price", "must have at most 6 decimals");
  return problems;
}

/** Converts a written type without problems. */
export function eventTypeOf({ name, description, price }: EventTypeInput): EventType {
  return { name, description, priceMillionths: toMillionths(price) };
}

/** Points for one event. */
export function priceOf({ priceMillionths }: EventType): number {
  return priceMillionths / MILLION;
}

function toMillionths(price: number): number {
  // Adding 0 turns -0 into 0.
  return Math.round(price * MILLION) + 0;
}

/** The double nearest to the exact sum. */
export function pointsOf(millionths: bigint): number {
  const whole = millionths / BigInt(MILLION);
  const rest = millionths % BigInt(MILLION);
  return Number(`${whole}.${String(rest).padStart(6, "0")}`);
}
