// Queues submissions for their commit. The queue is bounded and fair to organizations: deficit round robin by
// rows, so that thousands of events of one organization do not delay a single event of another.
import type { OrganizationId } from "@muster/core";

export interface QueuedWork {
  readonly organizationId: OrganizationId;
  readonly rows: number;
  readonly bytes: number;
}

interface Line<Work> {
  readonly organizationId: OrganizationId;
  readonly waiting: Work[];
  /** Rows that the organization may still take before the turn passes to the next organization. */
  credit: number;
  isGranted: boolean;
  rows: number;
  bytes: number;
}

export interface FairQueueLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Rows that an organization may take at each turn. */
  readonly quantumRows: number;
}

export class FairQueue<Work extends QueuedWork> {
  readonly #limits: FairQueueLimits;
  /** Organizations with waiting work, the next in turn first. */
  readonly #turns: Line<Work>[] = [];
  readonly #lines = new Map<OrganizationId, Line<Work>>();
  #rows = 0;
  #bytes = 0;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  get rows(): number {
    return this.#rows;
  }

  get isEmpty(): boolean {
    return this.#turns.length === 0;
  }

  /** Returns false if the queue is full, or if the organization already fills half of the queue. */
  offer(work: Work): boolean {
    const { rowsMax, bytesMax } = this.#limits;
    const line = this.#lines.get(work.organizationId);
    if (this.#rows + work.rows > rowsMax || this.#bytes + work.bytes > bytesMax) return false;
    if (line && (line.rows + work.rows > rowsMax / 2 || line.bytes + work.bytes > bytesMax / 2)) return false;
    this.#push(work, line ?? this.#addLine(work.organizationId));
    return true;
  }

  /** Takes the work of the next transaction: at least one item, further items within the bounds. */
  take(rowsMax: number, bytesMax: number): Work[] {
    const taken: Work[] = [];
    let rows = 0;
    let bytes = 0;
    for (let line = this.#turns[0]; line !== undefined; line = this.#turns[0]) {
      const work = line.waiting[0];
      if (work === undefined) break;
      if (taken.length > 0 && (rows + work.rows > rowsMax || bytes + work.bytes > bytesMax)) break;
      if (line.credit < work.rows && this.#turns.length > 1) {
        this.#grantOrPass(line);
        continue;
      }
      line.credit = Math.max(0, line.credit - work.rows);
      taken.push(work);
      rows += work.rows;
      bytes += work.bytes;
      this.#shift(line, work);
    }
    return taken;
  }

  /** Grants an organization its rows once a turn. If the credit is still too small, the turn passes on. */
  #grantOrPass(line: Line<Work>): void {
    if (line.isGranted) {
      this.#turns.push(...this.#turns.splice(0, 1));
    } else {
      line.credit += this.#limits.quantumRows;
    }
    line.isGranted = !line.isGranted;
  }

  #addLine(organizationId: OrganizationId): Line<Work> {
    const line: Line<Work> = {
      organizationId,
      waiting: [],
      credit: 0,
      isGranted: false,
      rows: 0,
      bytes: 0,
    };
    this.#lines.set(organizationId, line);
    this.#turns.push(line);
    return line;
  }

  #push(work: Work, line: Line<Work>): void {
    line.waiting.push(work);
    line.rows += work.rows;
    line.bytes += work.bytes;
    this.#rows += work.rows;
    this.#bytes += work.bytes;
  }

  #shift(line: Line<Work>, work: Work): void {
    line.waiting.shift();
    line.rows -= work.rows;
    line.bytes -= work.bytes;
    this.#rows -= work.rows;
    this.#bytes -= work.bytes;
    if (line.waiting.length === 0) {
      this.#turns.shift();
      this.#lines.delete(line.organizationId);
    }
  }
}
