// Declares the tasks of the thread pool's tests.
import { threadTask } from "@muster/runtime/threads";

const MODULE = new URL("./tasks-thread.ts", import.meta.url);

/** Adds the numbers of all chunks to the input. */
export const SUM = threadTask<number, readonly number[], number>(MODULE, "sum");
/** Spends a unit at a time until the pool ends the task; returns the units when the pool stops it. */
export const SPEND = threadTask<{ readonly unitsMax?: number }, never, number>(MODULE, "spend");
/** Never reads the control. */
export const LOOP = threadTask<null, never, never>(MODULE, "loop");
/** Fills the heap of the thread. */
export const FILL_HEAP = threadTask<null, never, never>(MODULE, "fillHeap");
/** Ends the thread, as a defect of the engine would. */
export const CRASH = threadTask<null, never, never>(MODULE, "crash");
export const REJECT = threadTask<string, never, never>(MODULE, "reject");
