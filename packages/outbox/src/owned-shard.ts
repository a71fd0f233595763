// One shard that this replica owns: its inbox, and what stands in its way.
import type { Delivery, Subscription } from "@muster/bus";
import { ShardInbox } from "./shard-inbox.ts";

/** The first message that could not be folded for a reason of its own. */
export interface Suspect {
  readonly position: number;
  readonly attempts: number;
}

export class OwnedShard {
  readonly shard: number;
  /** Fences every commit: another replica that takes the shard has bumped it. */
  readonly epoch: number;
  readonly inbox: ShardInbox;
  subscription: Subscription | undefined;
  /** Deliveries that are no envelope, after their last attempt. */
  readonly undecodable: Delivery[] = [];
  suspect: Suspect | undefined;
  /** Failures in a row, of whatever kind; nothing is folded before `notBeforeMs` (monotonic). */
  failures = 0;
  notBeforeMs = 0;
  /** The producer is to be asked for what follows, for the bus may be late or have lost it. */
  checkWanted = true;
  refetching = false;
  refetchFailures = 0;
  /** Monotonic; no refetch before it. */
  refetchNotBeforeMs = 0;
  lastArrivalMs: number;
  readonly gainedMs: number;
  /** How many the bus has brought. */
  deliveries = 0;

  constructor(cursor: {
    readonly shard: number;
    readonly epoch: number;
    readonly position: number;
    readonly itemsThrough: number;
    readonly monotonicMs: number;
  }) {
    this.shard = cursor.shard;
    this.epoch = cursor.epoch;
    this.inbox = new ShardInbox(cursor.position, cursor.itemsThrough);
    this.lastArrivalMs = cursor.monotonicMs;
    this.gainedMs = cursor.monotonicMs;
  }
}
