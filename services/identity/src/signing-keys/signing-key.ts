// Declares a key that signs access tokens, and decides which keys sign and which are published. Pure.
import type { SigningKeyId } from "@muster/core";

export interface SigningKey {
  readonly id: SigningKeyId;
  /** Grows by one with each key. */
  readonly generation: number;
  /** The two coordinates of the public key. */
  readonly x: Buffer;
  readonly y: Buffer;
  readonly sealedPrivateKey: Buffer;
  readonly createTimeMs: number;
  /** The key signs from then on, until a newer key does. */
  readonly signTimeMs: number;
  /** Undefined for the newest key. */
  readonly endTimeMs: number | undefined;
}

const HOUR_MS = 3_600_000;
/** A key gets a successor after this time. */
export const ROTATION_MS = 90 * 24 * HOUR_MS;
/** A successor is published so long before it signs, because clients keep the published keys for 5 minutes. */
export const PUBLISHED_AHEAD_MS = 10 * 60_000;
/** A key stays published so long after its successor signs: longer than any token lives. */
export const OVERLAP_MS = 24 * HOUR_MS;

export function isPublished({ endTimeMs }: SigningKey, nowMs: number): boolean {
  return endTimeMs === undefined || nowMs < endTimeMs;
}

/**
 * The newest key whose time has come. The clock of another process may be ahead, so a key whose time has not come yet
 * signs rather than none.
 */
export function signerOf(keys: readonly SigningKey[], nowMs: number): SigningKey | undefined {
  const newestFirst = keys
    .filter((key) => isPublished(key, nowMs))
    .sort((one, other) => other.generation - one.generation);
  return newestFirst.find(({ signTimeMs }) => signTimeMs <= nowMs) ?? newestFirst.at(-1);
}

/** Whether the keys need a successor now. */
export function isRotationDue(keys: readonly SigningKey[], nowMs: number): boolean {
  const created = keys.filter((key) => key.endTimeMs === undefined).map((key) => key.createTimeMs);
  return nowMs >= Math.max(...created, Number.NEGATIVE_INFINITY) + ROTATION_MS || created.length === 0;
}
