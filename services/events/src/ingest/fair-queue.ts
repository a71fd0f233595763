// Queues submissions for their commit. The queue is bounded and fair to organizations: deficit round robin by
// rows, so that thousands of events of one organization do not delay a single event of another.
import type { OrganizationId } from "@muster/core";

/** Work with its share of the queue limits. */
export interface QueuedWork {
  readonly organizationId: OrganizationId;
  readonly rows: number;
  readonly bytes: number;
}

interface OrganizationQueue<Work> {
  readonly organizationId: OrganizationId;
  readonly waiting: Work[];
  /** Rows that the organization may still take before the turn passes to the next organization. */
  credit: number;
  isGranted: boolean;
  rows: number;
  bytes: number;
}

/** The limits of a queue. */
export interface FairQueueLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Rows that an organization may take at each turn. */
  readonly quantumRows: number;
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
    this.#push(work, queue ?? this.#addQueue(work.organizationId));
    return true;
  }

  /** Takes the work of the next transaction: at least one item, further items within the bounds. */
  take(rowsMax: number, bytesMax: number): Work[] {
    const taken: Work[] = [];
    let rows = 0;
    let bytes = 0;
    for (let queue = this.#roundRobin[0]; queue !== undefined; queue = this.#roundRobin[0]) {
      const work = queue.waiting[0];
      if (work === undefined) break;
      if (taken.length > 0 && (rows + work.rows > rowsMax || bytes + work.bytes > bytesMax)) break;
      if (queue.credit < work.rows && this.#roundRobin.length > 1) {
        this.#grantOrPass(queue);
        continue;
      }
      queue.credit = Math.max(0, queue.credit - work.rows);
      taken.push(work);
      rows += work.rows;
      bytes += work.bytes;
      this.#shift(queue, work);
    }
    return taken;
  }

  /** Grants an organization its rows once a turn. If the credit is still too small, the turn passes on. */
  #grantOrPass(queue: OrganizationQueue<Work>): void {
    if (queue.isGranted) {
      this.#roundRobin.push(...this.#roundRobin.splice(0, 1));
    } else {
      queue.credit += this.#limits.quantumRows;
    }
    queue.isGranted = !queue.isGranted;
  }

  #addQueue(organizationId: OrganizationId): OrganizationQueue<Work> {
    const queue: OrganizationQueue<Work> = {
      organizationId,
      waiting: [],
      credit: 0,
      isGranted: false,
      rows: 0,
      bytes: 0,
    };
    this.#queues.set(organizationId, queue);
    this.#roundRobin.push(queue);
    return queue;
  }

  #push(work: Work, queue: OrganizationQueue<Work>): void {
    queue.waiting.push(work);
    queue.rows += work.rows;
    queue.bytes += work.bytes;
    this.#rows += work.rows;
    this.#bytes += work.bytes;
  }

  #shift(queue: OrganizationQueue<Work>, work: Work): void {
    queue.waiting.shift();
    queue.rows -= work.rows;
    queue.bytes -= work.bytes;
    this.#rows -= work.rows;
    this.#bytes -= work.bytes;
    if (queue.waiting.length === 0) {
      this.#roundRobin.shift();
      this.#queues.delete(queue.organizationId);
    }
  }
}
