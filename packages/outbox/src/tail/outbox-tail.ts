// Feeds live tails from the outbox, woken by commits. Each message is read and decoded once for all tails of
// the process that are up to date; a slow tail reads the outbox separately, at the tail's own pace.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock, OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import { FailureLog, type Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort } from "../ports/ports.ts";

export interface TailMessage<Item> {
  readonly position: number;
  readonly items: readonly Item[];
}

export interface OutboxTailOptions<Item> {
  readonly outbox: Pick<OutboxPort, "positions" | "read" | "onCommitted">;
  /** Returns the items of a message in order; an empty list for a message that tails skip. */
  readonly decode: (envelope: Envelope) => readonly Item[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Gauge of the number of attached tails. */
  readonly gauge: { readonly name: string; readonly help: string };
}

/** A read holds at most 2 MiB of messages, and all cached reads hold at most 32 MiB. */
const MESSAGES_PER_READ = 4;
const READS_KEPT = 16;
const TAILS_MAX = 1000;
const TAILS_PER_ORGANIZATION_MAX = 100;
const RETRY_MS = 1000;

export class OutboxTail<Item> {
  readonly #outbox: OutboxTailOptions<Item>["outbox"];
  readonly #decode: OutboxTailOptions<Item>["decode"];
  readonly #clock: Clock;
  readonly #failures: FailureLog;
  readonly #tailCounts = new Map<OrganizationId, number>();
  readonly #reads = new Map<string, Promise<readonly TailMessage<Item>[]>>();
  readonly #waiting = new Set<() => void>();
  #tails = 0;
  #heads: readonly number[] = [];
  #isStale = false;
  #refreshing: Promise<void> | undefined;

  constructor(options: OutboxTailOptions<Item>) {
    this.#outbox = options.outbox;
    this.#decode = options.decode;
    this.#clock = options.clock;
    this.#failures = new FailureLog(options.log, {
      failed: "tails cannot read the outbox; retrying",
      recovered: "tails can read the outbox again",
    });
    const gauge = options.metrics.gauge(options.gauge.name, options.gauge.help);
    Object.assign(gauge, { collect: () => gauge.set(this.#tails) });
    this.#outbox.onCommitted(() => this.#refresh());
  }

  /**
   * Attaches a tail; the returned function detaches it. Throws OVERLOADED when too many tails are attached.
   */
  attach(organizationId: OrganizationId): () => void {
    const count = this.#tailCounts.get(organizationId) ?? 0;
    if (this.#tails >= TAILS_MAX || count >= TAILS_PER_ORGANIZATION_MAX) {
      throw new AppError("OVERLOADED", { message: "Too many tails are attached.", retryAfterMs: RETRY_MS });
    }
    this.#tails += 1;
    this.#tailCounts.set(organizationId, count + 1);
    return () => {
      this.#tails -= 1;
      const left = (this.#tailCounts.get(organizationId) ?? 1) - 1;
      if (left === 0) this.#tailCounts.delete(organizationId);
      else this.#tailCounts.set(organizationId, left);
      if (this.#tails === 0) this.#reads.clear();
    };
  }

  /** The last committed position of every shard. */
  positions(): Promise<number[]> {
    return this.#outbox.positions();
  }

  /** Whether a message after these positions is known to be committed. */
  #isBeyond(positions: readonly number[]): boolean {
    return this.#heads.some((head, shard) => head > (positions[shard] ?? 0));
  }

  /**
   * Resolves to the ends of the shards once a shard has messages after the given position; undefined when the
   * signal aborts.
   */
  async waitBeyond(
    positions: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly number[] | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      if (this.#isBeyond(positions)) return this.#heads;
      // Messages committed before this tail attached have not triggered a wake-up.
      if (this.#heads.length === 0) this.#refresh();
      await this.#change(signal);
    }
  }

  /** Returns the next few messages after a position; an empty list if the messages have been trimmed. */
  read(shard: number, afterPosition: number): Promise<readonly TailMessage<Item>[]> {
    const key = `${shard}/${afterPosition}`;
    const known = this.#reads.get(key);
    if (known !== undefined) return known;
    const reading = this.#outbox.read(shard, afterPosition, MESSAGES_PER_READ).then((envelopes) =>
      envelopes.map((envelope) => ({
        position: Number(envelope.position),
        items: this.#decode(envelope),
      })),
    );
    this.#reads.set(key, reading);
    const dropReads = (): void => {
      if (this.#reads.get(key) === reading) this.#reads.delete(key);
    };
    reading.then((messages) => messages.length === 0 && dropReads(), dropReads);
    for (const oldest of this.#reads.keys()) {
      if (this.#reads.size <= READS_KEPT) break;
      this.#reads.delete(oldest);
    }
    return reading;
  }

  /** Drops cached reads, because the messages may have been rewritten. */
  dropReads(): void {
    this.#reads.clear();
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #refresh(): void {
    this.#isStale = true;
    if (this.#tails > 0) this.#refreshing ??= this.#readHeads();
    // Otherwise a later tail would take old heads for current ones.
    else this.#heads = [];
  }

  async #readHeads(): Promise<void> {
    while (this.#isStale && this.#tails > 0) {
      this.#isStale = false;
      try {
        this.#heads = await this.#outbox.positions();
        this.#failures.succeeded();
        for (const wake of [...this.#waiting]) wake();
      } catch (error) {
        this.#failures.failed(error);
        this.#isStale = true;
        await this.#clock.sleep(RETRY_MS);
      }
    }
    if (this.#isStale) this.#heads = [];
    this.#refreshing = undefined;
  }
}
