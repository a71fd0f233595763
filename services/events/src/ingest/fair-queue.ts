// Queues submissions for their commit. The queue is bounded and fair to organizations: deficit round robin by
// estimated time, so that costly events of one organization do not delay a single event of another.
import type { OrganizationId } from "@muster/core";

/** Work with its share of the queue limits. */
export interface QueuedWork {
  readonly organizationId: OrganizationId;
  /** Rows that are not taken yet. The queue reads the number again after each `take`. */
  readonly rows: number;
  readonly bytes: number;
  /** Bytes of a row that is not taken yet, by index. */
  bytesOf(row: number): number;
  /** Takes the next rows out of the work. */
  takeRows(rows: number): void;
}

interface OrganizationQueue<Work> {
  readonly organizationId: OrganizationId;
  readonly waiting: Work[];
  /** Milliseconds that the organization may still take before the turn passes to the next organization. */
  creditMs: number;
  isGranted: boolean;
  rows: number;
  bytes: number;
}

/** The limits of a queue. */
export interface FairQueueLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Time that an organization may take at each turn. */
  readonly quantumMs: number;
  /** Whether one transaction may take a part of an item. */
  readonly isDivisible: boolean;
  /** Returns the estimated time of one row of the organization. */
  readonly rowMs: (organizationId: OrganizationId) => number;
}

/** The bounds of one transaction. */
export interface TransactionBounds {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
}

/** The rows of one item that a transaction takes. */
export interface Taken<Work> {
  readonly work: Work;
  rows: number;
}

/** A bounded queue that serves organizations in turn. */
export class FairQueue<Work extends QueuedWork> {
  readonly #limits: FairQueueLimits;
  /** Organizations with waiting work, the next in turn first. */
  readonly #roundRobin: OrganizationQueue<Work>[] = [];
  readonly #queues = new Map<OrganizationId, OrganizationQueue<Work>>();
  #rows = 0;
  #bytes = 0;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  get rows(): number {
    return this.#rows;
  }

  get isEmpty(): boolean {
    return this.#roundRobin.length === 0;
  }

  /** Returns false if the queue is full, or if the organization already fills half of the queue. */
  offer(work: Work): boolean {
    const { rowsMax, bytesMax } = this.#limits;
    const queue = this.#queues.get(work.organizationId);
    if (this.#rows + work.rows > rowsMax || this.#bytes + work.bytes > bytesMax) return false;
    if (queue && (queue.rows + work.rows > rowsMax / 2 || queue.bytes + work.bytes > bytesMax / 2))
      return false;
    const own = queue ?? this.#addQueue(work.organizationId);
    own.waiting.push(work);
    this.#count(own, work.rows, work.bytes);
    return true;
  }

  /** Drops the rest of an item whose other rows were taken. */
  drop(work: Work): void {
    const queue = this.#queues.get(work.organizationId);
    const index = queue?.waiting.indexOf(work) ?? -1;
    if (queue === undefined || index === -1) return;
    this.#count(queue, -work.rows, -work.bytes);
    queue.waiting.splice(index, 1);
    this.#removeIfEmpty(queue);
  }

  /** Takes the rows of the next transaction: at least one row, or one item of a queue that is not divisible. */
  take(bounds: TransactionBounds): Taken<Work>[] {
    const taken = new Map<Work, Taken<Work>>();
    let left = bounds;
    for (let queue = this.#roundRobin[0]; queue !== undefined; queue = this.#roundRobin[0]) {
      const [work] = queue.waiting;
      if (work === undefined) break;
      const rowMs = this.#limits.rowMs(queue.organizationId);
      const most = this.#fitting(work, left, rowMs) || (taken.size === 0 ? this.#least(work) : 0);
      if (most === 0) break;
      const rows = this.#roundRobin.length === 1 ? most : this.#affordable(most, queue.creditMs, rowMs);
      if (rows === 0) {
        this.#grantOrPass(queue);
        continue;
      }
      const bytes = this.#takeRows(queue, work, rows);
      queue.creditMs = Math.max(0, queue.creditMs - rows * rowMs);
      left = { rows: left.rows - rows, bytes: left.bytes - bytes, ms: left.ms - rows * rowMs };
      const before = taken.get(work);
      if (before === undefined) taken.set(work, { work, rows });
      else before.rows += rows;
    }
    return [...taken.values()];
  }

  /** Returns the number of the work's rows within the bounds. */
  #fitting(work: Work, { rows, bytes, ms }: TransactionBounds, rowMs: number): number {
    if (!this.#limits.isDivisible) {
      return work.rows <= rows && work.bytes <= bytes && work.rows * rowMs <= ms ? work.rows : 0;
    }
    const most = Math.min(work.rows, rows, Math.floor(ms / rowMs));
    if (work.bytes <= bytes) return Math.max(0, most);
    let [count, sum] = [0, 0];
    for (; count < most; count += 1) {
      sum += work.bytesOf(count);
      if (sum > bytes) break;
    }
    return count;
  }

  #affordable(rows: number, creditMs: number, rowMs: number): number {
    const affordable = Math.min(rows, Math.floor(creditMs / rowMs));
    return this.#limits.isDivisible || affordable === rows ? affordable : 0;
  }

  #least(work: Work): number {
    return this.#limits.isDivisible ? 1 : work.rows;
  }

  /** Grants an organization its time once a turn. If the credit is still too small, the turn passes on. */
  #grantOrPass(queue: OrganizationQueue<Work>): void {
    if (queue.isGranted) {
      this.#roundRobin.push(...this.#roundRobin.splice(0, 1));
    } else {
      queue.creditMs += this.#limits.quantumMs;
    }
    queue.isGranted = !queue.isGranted;
  }

  #addQueue(organizationId: OrganizationId): OrganizationQueue<Work> {
    const queue: OrganizationQueue<Work> = {
      organizationId,
      waiting: [],
      creditMs: 0,
      isGranted: false,
      rows: 0,
      bytes: 0,
    };
    this.#queues.set(organizationId, queue);
    this.#roundRobin.push(queue);
    return queue;
  }

  /** Returns the bytes of the rows. */
  #takeRows(queue: OrganizationQueue<Work>, work: Work, rows: number): number {
    const bytesBefore = work.bytes;
    work.takeRows(rows);
    const bytes = bytesBefore - work.bytes;
    this.#count(queue, -rows, -bytes);
    if (work.rows === 0) queue.waiting.shift();
    this.#removeIfEmpty(queue);
    return bytes;
  }

  #removeIfEmpty(queue: OrganizationQueue<Work>): void {
    if (queue.waiting.length > 0) return;
    this.#roundRobin.splice(this.#roundRobin.indexOf(queue), 1);
    this.#queues.delete(queue.organizationId);
  }

  #count(queue: OrganizationQueue<Work>, rows: number, bytes: number): void {
    queue.rows += rows;
    queue.bytes += bytes;
    this.#rows += rows;
    this.#bytes += bytes;
  }
}
