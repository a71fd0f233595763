// Follows identity's broadcasts about ended credentials, and decides since when no broadcast can have been missed.
import { setImmediate } from "node:timers/promises";
import type { Clock } from "@muster/core";
import { LRUCache } from "lru-cache";
import {
  BEAT_INTERVAL_MS,
  CREDENTIALS_BEAT_TOPIC,
  CREDENTIALS_REVOKED_TOPIC,
  decodeBeat,
  decodeRevocation,
  type Revocation,
} from "./revocation-messages.ts";

/** The part of the bus that delivers revocations. */
export interface BroadcastSource {
  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void;
}

/** Two beats are missing after this time; half a beat is left for delays. */
const SILENCE_MS_MAX = 2.5 * BEAT_INTERVAL_MS;
/** Broadcasts that arrived before this time have been handled, or {@link RevocationMonitor.catchUp} waits for them. */
const HANDLED_MS_MAX = 0.5 * BEAT_INTERVAL_MS;
/** Turns of the event loop in which every broadcast that has arrived reaches its handler. */
const TURNS = 4;
/** Revocations that are remembered, for look-ups that began before them. */
const REVOCATIONS_MAX = 10_000;
/** Announcements that no beat has counted yet; beyond this number the next beat counts as a gap. */
const UNCOUNTED_MAX = 10_000;

interface Received {
  /** Compares with {@link RevocationMonitor.receivedCount} at another time. */
  readonly order: number;
  readonly hasEnded: boolean;
}

export class RevocationMonitor {
  readonly #clock: Clock;
  readonly #onChange: (id: string | undefined) => void;
  readonly #unsubscribe: readonly (() => void)[];
  readonly #received = new LRUCache<string, Received>({ max: REVOCATIONS_MAX });
  /** Numbers of announcements above {@link #count}. */
  readonly #uncounted = new Set<number>();
  /** Revocations up to the last beat, all of which were received. */
  #count: number | undefined;
  #receivedCount = 0;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  #completeSinceMs = Number.NEGATIVE_INFINITY;
  /** Monotonic ms before which every broadcast that had arrived was handled. */
  #handledMs = Number.NEGATIVE_INFINITY;
  #catchingUp: Promise<void> | undefined;

  /** `onChange` receives an id whose credentials may have ended, or undefined when any credential may have. */
  constructor(options: {
    readonly clock: Clock;
    readonly broadcasts: BroadcastSource;
    readonly onChange: (id: string | undefined) => void;
  }) {
    const { clock, broadcasts } = options;
    this.#clock = clock;
    this.#onChange = options.onChange;
    this.#unsubscribe = [
      broadcasts.onBroadcast(CREDENTIALS_REVOKED_TOPIC, (payload) => {
        const revocation = decodeRevocation(payload);
        if (revocation !== undefined) this.#receive(revocation);
      }),
      broadcasts.onBroadcast(CREDENTIALS_BEAT_TOPIC, (payload) => {
        const count = decodeBeat(payload);
        if (count !== undefined) this.#beat(count);
      }),
    ];
  }

  /** No two beats in a row are missing. */
  get isLive(): boolean {
    return this.#clock.monotonicMs() - this.#lastBeatMs <= SILENCE_MS_MAX;
  }

  /** Monotonic ms of the last beat; negative infinity before the first. */
  get lastBeatMs(): number {
    return this.#lastBeatMs;
  }

  /**
   * Monotonic ms since which every revocation up to the last beat was received. A verification from before may have
   * been revoked unnoticed.
   */
  get completeSinceMs(): number {
    return this.#completeSinceMs;
  }

  /** Announcements received so far. */
  get receivedCount(): number {
    return this.#receivedCount;
  }

  /** The revocation of an id, if it was received. */
  receivedFor(id: string): Received | undefined {
    return this.#received.get(id);
  }

  /**
   * Records that identity responded to a call begun at this time. If beats are missing nevertheless, the broker is
   * away, and revocations before the call may have been missed.
   */
  identityResponded(beganMs: number): void {
    const silentSinceMs = this.#lastBeatMs + SILENCE_MS_MAX;
    if (beganMs > silentSinceMs) this.#completeSinceMs = Math.max(this.#completeSinceMs, silentSinceMs);
  }

  /**
   * Resolves once every broadcast that has arrived is handled; undefined if that was the case half a second ago. After
   * the event loop was blocked, a request may be read before the broadcast that revokes its credential.
   */
  catchUp(): Promise<void> | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - Math.max(this.#lastBeatMs, this.#handledMs) <= HANDLED_MS_MAX) return undefined;
    this.#catchingUp ??= this.#handleArrived(nowMs);
    return this.#catchingUp;
  }

  async #handleArrived(beganMs: number): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
    this.#handledMs = beganMs;
    this.#catchingUp = undefined;
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #receive({ credentialId, count, hasEnded }: Revocation): void {
    const known = this.#received.get(credentialId);
    this.#receivedCount += 1;
    const order = this.#receivedCount;
    this.#received.set(credentialId, { order, hasEnded: hasEnded || known?.hasEnded === true });
    if (this.#uncounted.size < UNCOUNTED_MAX && (this.#count === undefined || count > this.#count)) {
      this.#uncounted.add(count);
    }
    this.#onChange(credentialId);
  }

  #beat(count: number): void {
    const nowMs = this.#clock.monotonicMs();
    const wasLive = this.isLive;
    // Beats of two replicas may overtake each other.
    if (wasLive && this.#count !== undefined && count < this.#count) return;
    const isComplete = wasLive && this.#hasReceivedAllUpTo(count);
    this.#lastBeatMs = nowMs;
    this.#count = count;
    for (const number of this.#uncounted) if (number <= count) this.#uncounted.delete(number);
    if (isComplete) return;
    this.#completeSinceMs = nowMs;
    this.#onChange(undefined);
  }

  #hasReceivedAllUpTo(count: number): boolean {
    if (this.#count === undefined) return false;
    if (count - this.#count > this.#uncounted.size) return false;
    for (let number = this.#count + 1; number <= count; number += 1) {
      if (!this.#uncounted.has(number)) return false;
    }
    return true;
  }
}
