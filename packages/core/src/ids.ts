// Identifiers: UUIDv7 (RFC 9562) as lower-case text in the code, as 16 bytes in storage and on the bus.
import { randomFillSync } from "node:crypto";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type OrganizationId = Branded<"organization">;
export type ProfileId = Branded<"profile">;
export type SegmentId = Branded<"segment">;
export type ApiKeyId = Branded<"api-key">;
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

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `text` is a UUID in the only form Muster hands out: lower case, with hyphens. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** 16 bytes of a UUID in text form. The caller has checked it with {@link isUuid}. */
export function uuidToBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll("-", ""), "hex");
}

export function bytesToUuid<Id extends string = string>(bytes: Uint8Array): Id {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Id;
}
