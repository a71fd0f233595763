// Computes the shard of a profile or another resource. The number of shards is fixed.
import { uuidToBytes } from "./ids.ts";

/** Fixed when an installation is made; a power of two. */
export const SHARD_COUNT = 16;

/** Every shard number, in order. */
export const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

/**
 * Shard of a resource of an organization: FNV-1a (32 bit) over the bytes of both ids, reduced to four bits by
 * XOR. Invariant: this function never changes, because positions and facts are stored by shard.
 */
export function shardOf(organizationId: string, resourceId: string): number {
  let hash = 0x811c9dc5;
  for (const byte of uuidToBytes(organizationId)) hash = Math.imul(hash ^ byte, 0x01000193);
  for (const byte of uuidToBytes(resourceId)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash ^= hash >>> 16;
  return (hash ^ (hash >>> 8) ^ (hash >>> 4)) & (SHARD_COUNT - 1);
}
