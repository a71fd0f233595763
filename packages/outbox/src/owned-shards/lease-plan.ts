// Plans which shards a replica keeps, takes and releases. Pure.

export interface LeaseRow {
  readonly shard: number;
  readonly owner: string;
  readonly leaseUntilMs: number;
}

export interface LeasePlan {
  readonly keep: readonly number[];
  readonly take: readonly number[];
  readonly release: readonly number[];
}

/** Aims for an even share, rounded up so that no shard is left without an owner. */
export function planLeases(
  rows: readonly LeaseRow[],
  replica: { readonly owner: string; readonly nowMs: number; readonly aliveCount: number },
): LeasePlan {
  const share = Math.ceil(rows.length / Math.max(1, replica.aliveCount));
  const mine = rows.filter((row) => row.owner === replica.owner).map((row) => row.shard);
  const keep = mine.slice(0, share);
  const release = mine.slice(share);
  const free = rows
    .filter((row) => row.owner !== replica.owner && isFree(row, replica.nowMs))
    .map((row) => row.shard);
  return { keep, take: free.slice(0, share - keep.length), release };
}

/** Whether a replica may take the shard: it has no owner, or the owner's lease has expired. */
export function isFree({ owner, leaseUntilMs }: LeaseRow, nowMs: number): boolean {
  return owner === "" || leaseUntilMs <= nowMs;
}
