// Tells the world who entered and left, in the transaction that makes it so: never lost, never told twice.
import type { OrganizationId, SegmentId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { OutboxPort } from "@muster/outbox";
import { lockPositions } from "@muster/outbox/outbox-store";
import { ALL_SHARDS } from "../backfills/backfill-store.ts";
import { readAnnouncedSegments, segmentKeyText } from "./announced-segment-store.ts";
import {
  type AnnouncedChange,
  type CausedChange,
  membershipsChanged,
  segmentDeleted,
  segmentReplaced,
} from "./announcements.ts";
import { withoutKnown } from "./tellings.ts";

export class Announcer {
  readonly #outbox: Pick<OutboxPort, "append" | "committed">;
  #hasAppended = false;

  constructor(outbox: Pick<OutboxPort, "append" | "committed">) {
    this.#outbox = outbox;
  }

  /**
   * The last statements of the transaction that wrote these memberships. They are of shards that the
   * transaction's process owns, so that nobody else waits for their positions.
   * Invariant: which rules serve is read while the positions are held, and a rule takes over while all of them
   * are. So nothing that the rule before decided is announced behind its successor.
   */
  async announceChanges(trx: Transaction, changes: readonly CausedChange[]): Promise<void> {
    if (changes.length === 0) return;
    await lockPositions(trx, [...new Set(changes.map(({ shard }) => shard))]);
    const segments = await readAnnouncedSegments(trx, changes);
    const announced: AnnouncedChange[] = [];
    for (const change of changes) {
      const segment = segments.get(segmentKeyText(change));
      // Not what serves, or deleted meanwhile.
      if (segment === undefined) continue;
      // Only entries: who was told to be in is also told to be out, whatever found it.
      const isQuiet = change.cause.origin === "backfill" && change.member && !segment.announceBackfill;
      if (!isQuiet) announced.push({ ...change, segment });
    }
    const news = await withoutKnown(trx, announced);
    if (news.length === 0) return;
    await this.#outbox.append(trx, membershipsChanged(news));
    this.#hasAppended = true;
  }

  /** Before the rule is made to serve; see {@link announceChanges}. */
  async holdAll(trx: Transaction): Promise<void> {
    await lockPositions(trx, ALL_SHARDS);
  }

  /** From this transaction on, another version of the rule says who is a member. Its last statements. */
  async announceReplaced(
    trx: Transaction,
    organizationId: OrganizationId,
    segmentId: SegmentId,
    ruleVersion: number,
  ): Promise<void> {
    await this.#outbox.append(trx, [segmentReplaced(organizationId, segmentId, ruleVersion)]);
    this.#hasAppended = true;
  }

  /** The last statements of the transaction that deletes it. */
  async announceDeleted(
    trx: Transaction,
    organizationId: OrganizationId,
    segmentId: SegmentId,
  ): Promise<void> {
    await this.#outbox.append(trx, [segmentDeleted(organizationId, segmentId)]);
    this.#hasAppended = true;
  }

  /** Called by the shards' owner between its transactions: wakes who waits for what they announced. */
  committed(): void {
    if (!this.#hasAppended) return;
    this.#hasAppended = false;
    this.wake();
  }

  /** Called by others after a transaction of theirs has committed. */
  wake(): void {
    this.#outbox.committed();
  }
}
