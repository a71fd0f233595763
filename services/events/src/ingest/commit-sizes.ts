// Chooses how many events of an organization a transaction stores, from the durations of earlier transactions.
// Costly events of an organization then delay other organizations only briefly.
import type { OrganizationId } from "@muster/core";

/** Intended time for which a transaction holds locks, and on SQLite the only writer. */
export const COMMIT_TARGET_MS = 50;

/** Bounds of the rows of a transaction, and its intended time. */
export interface CommitBounds {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly targetMs: number;
}

/** Up to this share of the target, a full transaction lets the next transaction grow. */
const GROWTH_SHARE = 0.7;
const GROWTH = 2;
/** Organizations with a known size; the least recently used size is dropped first. */
const ORGANIZATIONS_MAX = 10_000;

/** Sizes of shared or of exclusive transactions. */
export class CommitSizes {
  readonly #bounds: CommitBounds;
  readonly #rows = new Map<OrganizationId, number>();

  constructor(bounds: CommitBounds) {
    this.#bounds = bounds;
  }

  /** Returns the rows of the organization that fit into the intended time. */
  rowsOf(organizationId: OrganizationId): number {
    return this.#rows.get(organizationId) ?? this.#bounds.initial;
  }

  /** Returns the estimated time of a row. */
  rowMsOf(organizationId: OrganizationId): number {
    return this.#bounds.targetMs / this.rowsOf(organizationId);
  }

  /**
   * Adapts the sizes to the duration of a transaction. Few rows change no size, because the time of a small
   * transaction is mostly the time of the commit.
   */
  record(rows: ReadonlyMap<OrganizationId, number>, heldMs: number): void {
    const { min, max, targetMs } = this.#bounds;
    for (const [organizationId, count] of rows) {
      const size = this.rowsOf(organizationId);
      if (count < size / 2) continue;
      const fitting = (count * targetMs) / Math.max(1, heldMs);
      let next = size;
      if (heldMs > targetMs) next = Math.min(size, fitting);
      else if (heldMs < targetMs * GROWTH_SHARE) next = Math.min(size * GROWTH, fitting);
      this.#set(organizationId, Math.floor(Math.min(max, Math.max(min, next))));
    }
  }

  #set(organizationId: OrganizationId, rows: number): void {
    this.#rows.delete(organizationId);
    this.#rows.set(organizationId, rows);
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= ORGANIZATIONS_MAX) break;
      this.#rows.delete(oldest);
    }
  }
}
