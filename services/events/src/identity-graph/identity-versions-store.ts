// Holds every statement against `shard_identity_versions`. The identity version of a shard grows with each
// change of the identity graph that is published in the shard: a merge, an undone merge, an erasure.
import { assert, SHARD_COUNT } from "@muster/core";
import { selectPrepared, type Transaction } from "@muster/db";

/** The row that grows with every erased event of any shard. */
export const ERASURES_VERSION = SHARD_COUNT;

/** One identity version per shard, followed by the erasures version. */
export type IdentityVersions = readonly number[];

/** Reads all identity versions and the erasures version. */
export async function readIdentityVersions(trx: Transaction): Promise<IdentityVersions> {
  const rows = await selectPrepared<{ shard: number; identity_version: number }>(
    trx,
    "select shard, identity_version from shard_identity_versions",
    [],
  );
  const versions = new Array<number>(SHARD_COUNT).fill(0);
  for (const { shard, identity_version } of rows) versions[shard] = Number(identity_version);
  return versions;
}

/**
 * Increments the versions of the shards. Invariant: the transaction holds the positions of these shards. A
 * transaction that used the previous identity graph has therefore committed and published before this one, or
 * will detect the new version and run again.
 */
export async function incrementIdentityVersions(trx: Transaction, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  const sorted = [...new Set(shards)].sort((a, b) => a - b);
  const updated = await trx("shard_identity_versions")
    .whereIn("shard", sorted)
    .increment("identity_version", 1);
  assert(updated === sorted.length, "shard_identity_versions lacks a shard; its migration has not run");
}

/**
 * Increments the erasures version. Ingest compares it to detect events that were erased after the lookup for
 * erased events.
 */
export async function incrementErasuresVersion(trx: Transaction): Promise<void> {
  await trx("shard_identity_versions").where("shard", ERASURES_VERSION).increment("identity_version", 1);
}
