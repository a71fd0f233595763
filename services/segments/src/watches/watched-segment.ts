// Reads a segment for a watch: the members page by page, then the changes, each exactly once.
import type { Bus } from "@muster/bus";
import type { MembershipChange } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import {
  bytesToUuid,
  type Clock,
  type OrganizationId,
  type ProfileId,
  type SegmentId,
  shardOf,
  uuidToBytes,
} from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import {
  catchUp,
  cursorAt,
  cursorFromNumbers,
  cursorToNumbers,
  type OutboxTail,
  readPositions,
  type TailCursor,
} from "@muster/outbox";
import type { Announcement } from "../announcements/announcements.ts";
import { listMembers, type Member } from "../memberships/membership-store.ts";
import { findSegmentById, listSwitchingSegments } from "../segment-model/segment-store.ts";
import { WORK_DONE_TOPIC } from "../topics.ts";

export interface WatchDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  readonly watches: OutboxTail<Announcement>;
}

export interface WatchedKey {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
}

export interface WatchedChange {
  readonly profileId: ProfileId;
  readonly member: boolean;
  readonly change: MembershipChange;
}

export type WatchPart =
  | {
      readonly kind: "members";
      /** Whether everything sent before is outdated. */
      readonly restart: boolean;
      readonly members: readonly Member[];
      readonly complete: boolean;
    }
  | { readonly kind: "changes"; readonly changes: readonly WatchedChange[] };

/** The size of one part. A watch holds only a few parts at a time. */
const MEMBERS_MAX = 500;
const CHANGES_MAX = 500;
/** A quiet watch gets a newer token at this interval, so that the token does not expire. */
const REFRESH_MS = 60_000;
/** The poll interval for the end of a rule switch, in case its broadcast gets lost. */
const RULE_SWITCH_POLL_MS = 200;
/** Positions among profile ids: before all ids, and after all ids. */
const BEFORE_FIRST = "";
const AFTER_LAST = "~";

interface MembersPage {
  readonly positions: number[];
  readonly members: Member[];
}

/** The segment switched to another rule. */
class RuleReplaced extends Error {
  override name = "RuleReplaced";
}

/**
 * Invariant: every change of the profiles sent so far (ids up to `sentThrough`) was sent up to the cursor, and none
 * after it. Each page of members is read in one snapshot with the outbox positions. Before the page is sent,
 * changes of earlier profiles are sent up to these positions. Therefore a snapshot lasts only for the read of
 * one page, whatever the size of the segment and the speed of the reader, and a watch can resume after any
 * part.
 */
export class WatchedSegment {
  readonly #deps: WatchDeps;
  readonly #key: WatchedKey;
  readonly #keyBytes: { readonly organizationId: Buffer; readonly segmentId: Buffer };
  #cursor: TailCursor;
  #sentThrough: string;
  #lastSentMs: number;

  private constructor(deps: WatchDeps, key: WatchedKey, cursor: TailCursor, sentThrough: string) {
    this.#deps = deps;
    this.#key = key;
    this.#keyBytes = {
      organizationId: uuidToBytes(key.organizationId),
      segmentId: uuidToBytes(key.segmentId),
    };
    this.#cursor = cursor;
    this.#sentThrough = sentThrough;
    this.#lastSentMs = deps.clock.monotonicMs();
  }

  static begin(deps: WatchDeps, key: WatchedKey): WatchedSegment {
    return new WatchedSegment(deps, key, cursorAt([]), BEFORE_FIRST);
  }

  /** Resumes from a {@link state}. Throws POSITION_INVALID for any other value. */
  static async resume(
    deps: WatchDeps,
    key: WatchedKey,
    state: readonly (string | number)[],
  ): Promise<WatchedSegment> {
    const sentThrough = state.at(-1);
    const cursor = cursorFromNumbers(state.slice(0, -1), await deps.watches.positions());
    if (cursor === undefined || typeof sentThrough !== "string") throw new AppError("POSITION_INVALID");
    return new WatchedSegment(deps, key, cursor, sentThrough);
  }

  /** The state of the watch, for a token. */
  get state(): (string | number)[] {
    return [...cursorToNumbers(this.#cursor), this.#sentThrough];
  }

  /** Runs until the signal aborts. Throws SEGMENT_NOT_FOUND after the deletion of the segment. */
  async *parts(signal: AbortSignal): AsyncGenerator<WatchPart> {
    for (let restart = false; ; restart = true) {
      try {
        for (; this.#sentThrough !== AFTER_LAST; restart = false) yield* this.#nextMembers(restart, signal);
        yield* this.#follow(signal);
        return;
      } catch (error) {
        if (!(error instanceof RuleReplaced)) throw error;
        this.#sentThrough = BEFORE_FIRST;
      }
    }
  }

  async *#nextMembers(restart: boolean, signal: AbortSignal): AsyncGenerator<WatchPart> {
    const { positions, members } = await this.#readPage(signal);
    if (this.#sentThrough !== BEFORE_FIRST) yield* this.#changesUpTo(positions);
    const page = members.slice(0, MEMBERS_MAX);
    const complete = members.length <= MEMBERS_MAX;
    this.#cursor = cursorAt(positions);
    this.#sentThrough = complete ? AFTER_LAST : (page.at(-1)?.profileId ?? AFTER_LAST);
    yield { kind: "members", restart, members: page, complete };
  }

  /** Waits until the last rule switch is fully published, so that nothing is sent twice. */
  async #readPage(signal: AbortSignal): Promise<MembersPage> {
    for (;;) {
      const workDone = new AbortController();
      // Subscribes before the read, so that no broadcast in between is missed.
      const stopListening = this.#deps.bus.onBroadcast(WORK_DONE_TOPIC, () => workDone.abort());
      try {
        const page = await this.#tryReadPage();
        if (page !== undefined) return page;
        await this.#deps.clock.sleep(RULE_SWITCH_POLL_MS, AbortSignal.any([workDone.signal, signal]));
        if (signal.aborted) throw new AppError("CANCELED");
      } finally {
        stopListening();
      }
    }
  }

  #tryReadPage(): Promise<MembersPage | undefined> {
    const { organizationId, segmentId } = this.#key;
    return this.#deps.database.snapshot(async (trx) => {
      // The first read, because it starts the snapshot.
      const positions = await readPositions(trx);
      // A deletion before these positions would never be read from the outbox.
      const segment = await findSegmentById(trx, organizationId, segmentId);
      if (segment === undefined) throw new AppError("SEGMENT_NOT_FOUND");
      if ((await listSwitchingSegments(trx, organizationId)).has(segmentId)) return undefined;
      const after = this.#sentThrough === BEFORE_FIRST ? undefined : this.#sentThrough;
      return {
        positions,
        members: await listMembers(trx, organizationId, segment.evaluationId, after, MEMBERS_MAX + 1),
      };
    });
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<WatchPart> {
    const { clock, watches } = this.#deps;
    for (;;) {
      const heads = await watches.waitBeyond(this.#cursor.positions, signal);
      if (heads === undefined) return;
      for await (const part of this.#changesUpTo(heads)) {
        this.#lastSentMs = clock.monotonicMs();
        yield part;
      }
      if (clock.monotonicMs() - this.#lastSentMs < REFRESH_MS) continue;
      this.#lastSentMs = clock.monotonicMs();
      yield { kind: "changes", changes: [] };
    }
  }

  /** Reads the changes of the profiles sent so far, up to these positions. */
  async *#changesUpTo(heads: readonly number[]): AsyncGenerator<WatchPart> {
    const { organizationId, segmentId } = this.#key;
    const cursor = this.#cursor;
    // A message that was started before a resume is finished first, because a token has space for one offset.
    // Then the segment's own shard, so that a rule switch is read before changes of the new rule.
    const begun = cursor.offset > 0 ? [cursor.shard] : [];
    let changes: WatchedChange[] = [];
    for (const shard of [...begun, shardOf(organizationId, segmentId), ...heads.keys()]) {
      for await (const item of catchUp(this.#deps.watches, cursor, shard, heads[shard] ?? 0)) {
        const change = this.#read(item);
        if (change === undefined) continue;
        changes.push(change);
        if (changes.length < CHANGES_MAX) continue;
        yield { kind: "changes", changes };
        changes = [];
      }
    }
    if (changes.length > 0) yield { kind: "changes", changes };
  }

  /** Undefined for another segment, or for a profile that was not sent yet. */
  #read(item: Announcement): WatchedChange | undefined {
    if (item.kind === "erased") return undefined;
    const { organizationId, segmentId } = item.kind === "changed" ? item.change : item;
    const { organizationId: ownOrganization, segmentId: ownSegment } = this.#keyBytes;
    if (!ownSegment.equals(segmentId) || !ownOrganization.equals(organizationId)) return undefined;
    switch (item.kind) {
      case "deleted":
        throw new AppError("SEGMENT_NOT_FOUND", { message: "The segment was deleted." });
      case "replaced":
        throw new RuleReplaced();
      case "changed": {
        const profileId = bytesToUuid<ProfileId>(item.change.profileId);
        if (profileId > this.#sentThrough) return undefined;
        return { profileId, member: item.member, change: item.change };
      }
    }
  }
}
