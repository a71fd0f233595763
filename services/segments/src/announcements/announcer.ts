// Appends membership changes to the outbox, in the transaction that writes them: none is lost or repeated.
import { ALL_SHARDS, type OrganizationId, type SegmentId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { lockPositions, type OutboxPort } from "@muster/outbox";
import { evaluationKeyText, readAnnouncedSegments } from "../segment-model/announced-segment-store.ts";
import {
  type AnnouncedChange,
  type CausedChange,
  membershipsChanged,
  segmentDeleted,
  segmentReplaced,
} from "./announcements.ts";

/** Leaves out changes that are published already, while a rule switch is in progress. */
export type PublishedFilter = (
  trx: Transaction,
  changes: readonly AnnouncedChange[],
) => Promise<AnnouncedChange[]>;

export class Announcer {
  readonly #outbox: Pick<OutboxPort, "append" | "committed">;
  readonly #withoutPublished: PublishedFilter;
  #hasAppended = false;

  constructor(outbox: Pick<OutboxPort, "append" | "committed">, withoutPublished: PublishedFilter) {
    this.#outbox = outbox;
    this.#withoutPublished = withoutPublished;
  }

  /**
   * Appends changes as the last statements of the transaction that wrote the memberships. The changes are of
   * shards that the transaction's process owns, so that no other process waits for their positions.
   * Invariant: the serving rules are read while the positions are locked, and a rule switch locks all
   * positions. Therefore no change of a replaced rule is announced after the switch.
   */
  async announceChanges(trx: Transaction, changes: readonly CausedChange[]): Promise<void> {
    if (changes.length === 0) return;
    await lockPositions(trx, [...new Set(changes.map(({ shard }) => shard))]);
    const segments = await readAnnouncedSegments(trx, changes);
    const announced: AnnouncedChange[] = [];
    for (const change of changes) {
      const segment = segments.get(evaluationKeyText(change));
      // The evaluation does not serve reads, or the segment was deleted meanwhile.
      if (segment === undefined) continue;
      // Only entries are suppressed: an exit follows every announced entry, whatever the cause.
      const isSuppressed = change.cause.origin === "backfill" && change.member && !segment.announceBackfill;
      if (!isSuppressed) announced.push({ ...change, segment });
    }
    const unpublished = await this.#withoutPublished(trx, announced);
    if (unpublished.length === 0) return;
    await this.#outbox.append(trx, membershipsChanged(unpublished));
    this.#hasAppended = true;
  }

  /** Locks all positions before a rule switch; see {@link announceChanges}. */
  async lockAllPositions(trx: Transaction): Promise<void> {
    await lockPositions(trx, ALL_SHARDS);
  }

  /** Announces a rule switch, as the last statements of its transaction. */
  async announceReplaced(
    trx: Transaction,
    organizationId: OrganizationId,
    segmentId: SegmentId,
    ruleVersion: number,
  ): Promise<void> {
    await this.#outbox.append(trx, [segmentReplaced(organizationId, segmentId, ruleVersion)]);
    this.#hasAppended = true;
  }

  /** Announces a deletion, as the last statements of its transaction. */
  async announceDeleted(
    trx: Transaction,
    organizationId: OrganizationId,
    segmentId: SegmentId,
  ): Promise<void> {
    await this.#outbox.append(trx, [segmentDeleted(organizationId, segmentId)]);
    this.#hasAppended = true;
  }

  /** Wakes the consumers of announcements. Called by the owner of the shards between its transactions. */
  committed(): void {
    if (!this.#hasAppended) return;
    this.#hasAppended = false;
    this.wake();
  }

  /** Wakes the consumers of announcements. Called by others after their transaction has committed. */
  wake(): void {
    this.#outbox.committed();
  }
}
