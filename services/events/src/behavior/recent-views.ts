// Summarizes page views of the last 168 hours. Views arrive in any order, and memory grows only with the
// number of page names. Pure.

const WINDOW_MS = 168 * 3_600_000;
const DAY_MS = 86_400_000;
const DAYS_MAX = 7;
/** A gap of at least this length starts a new session. */
const SESSION_GAP_MS = 30 * 60_000;
const MINUTE_MS = 60_000;

/** The summary of a window, with the units of the public API. */
export interface RecentBehavior {
  readonly pagesViewed: number;
  readonly minutesSpent: number;
  readonly daysActive: number;
  /** Undefined when no view has a page name. */
  readonly mostViewedPage: string | undefined;
}

interface Span {
  firstMs: number;
  lastMs: number;
}

interface Page {
  views: number;
  lastMs: number;
}

/** Accumulates views; views outside the window are ignored. */
export class RecentViews {
  /** The window; both ends are included. */
  readonly fromMs: number;
  readonly toMs: number;
  #count = 0;
  readonly #days = new Set<number>();
  readonly #pages = new Map<string, Page>();
  /**
   * The first and last view of each half hour. Views within a half hour never start a new session, so views
   * between the first and the last do not change the time spent.
   */
  readonly #halfHours = new Map<number, Span>();

  constructor(nowMs: number) {
    this.fromMs = nowMs - WINDOW_MS;
    this.toMs = nowMs;
  }

  /** `page` is empty when the view has no page name. */
  add(occurredMs: number, page: string): void {
    if (occurredMs < this.fromMs || occurredMs > this.toMs) return;
    this.#count += 1;
    this.#days.add(Math.floor(occurredMs / DAY_MS));
    this.#addToSpan(occurredMs);
    if (page !== "") this.#addToPage(page, occurredMs);
  }

  summarize(): RecentBehavior {
    return {
      pagesViewed: this.#count,
      minutesSpent: Math.floor(this.#spentMs() / MINUTE_MS),
      // A window that begins during a day ends on the eighth day.
      daysActive: Math.min(this.#days.size, DAYS_MAX),
      mostViewedPage: this.#mostViewed(),
    };
  }

  #addToSpan(occurredMs: number): void {
    const halfHour = Math.floor(occurredMs / SESSION_GAP_MS);
    const span = this.#halfHours.get(halfHour);
    if (span === undefined) {
      this.#halfHours.set(halfHour, { firstMs: occurredMs, lastMs: occurredMs });
      return;
    }
    span.firstMs = Math.min(span.firstMs, occurredMs);
    span.lastMs = Math.max(span.lastMs, occurredMs);
  }

  #addToPage(name: string, occurredMs: number): void {
    const page = this.#pages.get(name);
    if (page === undefined) {
      this.#pages.set(name, { views: 1, lastMs: occurredMs });
      return;
    }
    page.views += 1;
    page.lastMs = Math.max(page.lastMs, occurredMs);
  }

  #spentMs(): number {
    let spentMs = 0;
    let beforeMs = Number.NEGATIVE_INFINITY;
    for (const { firstMs, lastMs } of [...this.#halfHours.values()].sort((a, b) => a.firstMs - b.firstMs)) {
      if (firstMs - beforeMs < SESSION_GAP_MS) spentMs += firstMs - beforeMs;
      spentMs += lastMs - firstMs;
      beforeMs = lastMs;
    }
    return spentMs;
  }

  #mostViewed(): string | undefined {
    let best: readonly [name: string, page: Page] | undefined;
    for (const entry of this.#pages) if (best === undefined || isBefore(entry, best)) best = entry;
    return best?.[0];
  }
}

/** More views first, then the later last view, then the name by bytes. */
function isBefore(
  [name, page]: readonly [string, Page],
  [otherName, other]: readonly [string, Page],
): boolean {
  if (page.views !== other.views) return page.views > other.views;
  if (page.lastMs !== other.lastMs) return page.lastMs > other.lastMs;
  return Buffer.compare(Buffer.from(name), Buffer.from(otherName)) < 0;
}
