// Identifiers: UUIDv7 (RFC 9562) as lower-case text in the code, as 16 bytes in storage and on the bus.
import { randomFillSync } from "node:crypto";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type OrganizationId = Branded<"organization">;
export type ProfileId = Branded<"profile">;
export type SegmentId = Branded<"segment">;
/** Id of a segment's rule while it is evaluated: the key of memberships, counts and backfills. */
export type EvaluationId = Branded<"evaluation">;
export type ApiKeyId = Branded<"api-key">;
export type UserId = Branded<"user">;
export type SessionId = Branded<"session">;
/** Id of a key that signs access tokens: the `kid` of a token. */
export type SigningKeyId = Branded<"signing-key">;
/** Id of a provisioning partner. */
export type PartnerId = Branded<"partner">;
/** Id of a tracked event. */
export type TrackedEventId = Branded<"tracked-event">;

/** Makes new ids. Injected, so that tests can count them. */
export interface IdSource {
  /** A new UUIDv7 of the given instant, as text. */
  next<Id extends string = string>(nowMs: number): Id;
}

const pool = Buffer.alloc(10 * 512);
let poolOffset = pool.length;

/** UUIDv7 with 74 random bits from the operating system. */
export const randomIds: IdSource = {
  next<Id extends string>(nowMs: number): Id {
    if (poolOffset === pool.length) {
      randomFillSync(pool);
      poolOffset = 0;
    }
    const tail = pool.subarray(poolOffset, poolOffset + 10);
    poolOffset += 10;
    return uuidV7(nowMs, tail) as Id;
  },
};

/**
 * UUIDv7 of `ms` (any integer; its low 48 bits are taken, so instants before 1970 work too) and
 * ten bytes, of which 74 bits are used.
 */
export function uuidV7(ms: number, tail: Uint8Array): string {
  const bytes = Buffer.allocUnsafe(16);
  const low48 = ((ms % 2 ** 48) + 2 ** 48) % 2 ** 48;
  bytes.writeUIntBE(low48, 0, 6);
  bytes.set(tail.subarray(0, 10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytesToUuid(bytes);
}

/** Where each byte's two digits stand in the text. */
const BYTE_PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/** A digit's value by its character code. */
const DIGITS = new Uint8Array(128);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  DIGITS[digit.charCodeAt(0)] = value;
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `text` is a UUID in the only form Muster hands out: lower case, with hyphens. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** 16 bytes of a UUID in text form. The caller has checked it with {@link isUuid}. */
export function uuidToBytes(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(BYTE_PLACES.length);
  // Several for every event: a quarter of what Buffer.from(..., "hex") takes without the hyphens.
  for (const [index, place] of BYTE_PLACES.entries()) {
    bytes[index] = ((DIGITS[text.charCodeAt(place)] ?? 0) << 4) | (DIGITS[text.charCodeAt(place + 1)] ?? 0);
  }
  return bytes;
}

export function bytesToUuid<Id extends string = string>(bytes: Uint8Array): Id {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Id;
}
