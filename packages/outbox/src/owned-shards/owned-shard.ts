// The state of one shard that this replica owns: inbox, failures and refetches.
import type { Delivery, Subscription } from "@muster/bus";
import { ShardInbox } from "./shard-inbox.ts";

/** The first message that failed because of the message's own content. */
export interface FailingMessage {
  readonly position: number;
  readonly attempts: number;
}

export class OwnedShard {
  readonly shard: number;
  /** Fences every commit: a replica that takes the shard increases the token. */
  readonly fencingToken: number;
  readonly inbox: ShardInbox;
  subscription: Subscription | undefined;
  /** Deliveries that are not an envelope, after the last attempt. */
  readonly undecodable: Delivery[] = [];
  failingMessage: FailingMessage | undefined;
  /** Consecutive failures of any kind; no message is applied before `notBeforeMs` (monotonic). */
  failures = 0;
  notBeforeMs = 0;
  /** The last transaction that included this shard waited for a lock in vain: the shard is applied separately. */
  isBlocked = false;
  /** Messages must be requested from the producer, because the bus may be late or have lost messages. */
  isRefetchRequested = true;
  isRefetching = false;
  refetchFailures = 0;
  /** No refetch starts before this time (monotonic). */
  refetchNotBeforeMs = 0;
  lastArrivalMs: number;
  readonly acquiredMs: number;
  /** Number of deliveries from the bus. */
  deliveries = 0;

  constructor(cursor: {
    readonly shard: number;
    readonly fencingToken: number;
    readonly position: number;
    readonly itemsThrough: number;
    readonly monotonicMs: number;
  }) {
    this.shard = cursor.shard;
    this.fencingToken = cursor.fencingToken;
    this.inbox = new ShardInbox(cursor.position, cursor.itemsThrough);
    this.lastArrivalMs = cursor.monotonicMs;
    this.acquiredMs = cursor.monotonicMs;
  }
}
