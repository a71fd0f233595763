// Decides which waiting task runs next. An organization runs a single task at a time, and long tasks leave a
// thread to short tasks.
import type { OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";

export interface ThreadTurnsOptions {
  readonly threads: number;
  /** Most threads of tasks that are not short. */
  readonly longTasksMax: number;
  /** Most waiting tasks; further tasks are rejected with OVERLOADED. */
  readonly waitingMax: number;
  readonly waitingPerOrganizationMax: number;
}

export interface TurnRequest {
  readonly organizationId: OrganizationId;
  readonly isShort: boolean;
  readonly signal: AbortSignal;
}

/** Ends a turn. Further calls do nothing. */
export type EndTurn = () => void;

interface WaitingTask extends TurnRequest {
  readonly start: () => void;
}

const RETRY_AFTER_MS = 1_000;

export class ThreadTurns {
  readonly #options: ThreadTurnsOptions;
  readonly #busyOrganizations = new Set<OrganizationId>();
  /** In order of arrival. */
  readonly #waiting: WaitingTask[] = [];
  #running = 0;
  #longRunning = 0;

  constructor(options: ThreadTurnsOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when the task may run. Rejects with OVERLOADED, or with the reason of the signal. */
  async take(request: TurnRequest): Promise<EndTurn> {
    request.signal.throwIfAborted();
    if (!this.#mayStart(request)) {
      this.#rejectOverload(request.organizationId);
      await this.#wait(request);
    } else this.#start(request);
    let isEnded = false;
    return () => {
      if (isEnded) return;
      isEnded = true;
      this.#end(request);
    };
  }

  #rejectOverload(organizationId: OrganizationId): void {
    const own = this.#waiting.filter((one) => one.organizationId === organizationId).length;
    const { waitingMax, waitingPerOrganizationMax } = this.#options;
    if (this.#waiting.length < waitingMax && own < waitingPerOrganizationMax) return;
    throw new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
  }

  #wait(request: TurnRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = request;
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const start = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const waiting: WaitingTask = { ...request, signal, start };
      this.#waiting.push(waiting);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #mayStart({ organizationId, isShort }: TurnRequest): boolean {
    if (this.#running >= this.#options.threads || this.#busyOrganizations.has(organizationId)) return false;
    return isShort || this.#longRunning < this.#options.longTasksMax;
  }

  #start({ organizationId, isShort }: TurnRequest): void {
    this.#running += 1;
    this.#longRunning += isShort ? 0 : 1;
    this.#busyOrganizations.add(organizationId);
  }

  #end({ organizationId, isShort }: TurnRequest): void {
    this.#running -= 1;
    this.#longRunning -= isShort ? 0 : 1;
    this.#busyOrganizations.delete(organizationId);
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#start(next);
      next.start();
    }
  }

  /** The first short task that may start, else the first long task. */
  #next(): WaitingTask | undefined {
    const startable = this.#waiting.filter((one) => this.#mayStart(one));
    return startable.find(({ isShort }) => isShort) ?? startable[0];
  }
}
