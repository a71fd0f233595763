// Ends a task on a thread: reads whether the pool has stopped or canceled the task, and counts its work.
import { AppError } from "@muster/errors";
import { TaskState } from "./thread-task.ts";

/** Thrown by {@link TaskControl} once the task must return what it has. */
export class TaskStopped extends Error {
  override name = "TaskStopped";
}

/** Reading the processor time takes about a microsecond. */
const CALLS_PER_TIME_CHECK = 4;

/**
 * A synchronous loop of a task calls `spend` for every piece of work. A unit is about a microsecond of processor
 * time. If the work took longer, the time counts instead.
 */
export class TaskControl {
  readonly #state: Int32Array;
  #unitsMax = Number.POSITIVE_INFINITY;
  #spentUnits = 0;
  #calls = 0;
  readonly #startUs = threadTimeUs();

  constructor(state: SharedArrayBuffer) {
    this.#state = new Int32Array(state);
  }

  get spentUnits(): number {
    return this.#spentUnits;
  }

  /** Limits the units of the task; by default there is no limit. */
  limitUnits(unitsMax: number): void {
    this.#unitsMax = unitsMax;
  }

  /** Throws WORK_LIMIT_REACHED beyond the limit, and whatever {@link throwIfEnded} throws. */
  spend(units: number): void {
    this.#spentUnits += units;
    this.#calls += 1;
    if (this.#calls % CALLS_PER_TIME_CHECK === 0) {
      this.#spentUnits = Math.max(this.#spentUnits, threadTimeUs() - this.#startUs);
    }
    if (this.#spentUnits > this.#unitsMax) throw new AppError("WORK_LIMIT_REACHED");
    this.throwIfEnded();
  }

  /** Throws CANCELED once the caller has left, and TaskStopped once the task must return what it has. */
  throwIfEnded(): void {
    const state = Atomics.load(this.#state, 0);
    if (state === TaskState.canceled) throw new AppError("CANCELED");
    if (state === TaskState.stopped) throw new TaskStopped("the pool stopped the task");
  }
}

/** Processor time of this thread, in microseconds. */
function threadTimeUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
