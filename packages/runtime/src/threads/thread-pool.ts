// Runs pure functions on threads, so that their work does not block the event loop of the process.
//
// How to use it:
// 1. Declare the task in a file of its own, with the types of its input, its chunks and its result. All three
//    are cloned, so they are plain data:
//      export const COUNT = threadTask<CountInput, CountChunk, number>(
//        new URL("./count-thread.ts", import.meta.url), "count");
// 2. Write the module of the task, count-thread.ts. It imports no database, no service and no clock:
//      export const count = serveTask(COUNT, async (input, chunks, control) => {
//        control.limitUnits(5_000_000);
//        for await (const chunk of chunks) for (const row of chunk) { control.spend(1); … }
//        return total;
//      });
// 3. Run it. The main thread reads the data in bounded pages and sends them. `send` waits while the thread is
//    behind, so memory stays bounded; read with `session.signal`, which aborts when the task is over:
//      await deps.threads.run(COUNT, { organizationId, input, signal: context.signal }, async (session) => {
//        for await (const page of pages(session.signal)) await session.send(page);
//      });
//
// `run` rejects with OVERLOADED when too many tasks wait, with the reason of `signal` as soon as it aborts, with
// WORK_LIMIT_REACHED when the task is out of units or memory, and with the AppError that the task throws. A task
// that does not react within a second loses its thread.
import { availableParallelism } from "node:os";
import { MessageChannel } from "node:worker_threads";
import type { Clock, OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import { Piscina } from "piscina";
import { ThreadSession } from "./thread-session.ts";
import type { TaskCall, TaskOutcome, ThreadTask } from "./thread-task.ts";
import { ThreadTurns } from "./thread-turns.ts";

export interface ThreadPoolOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Default: one less than the processor's cores, at least two. */
  readonly threads?: number;
  /** Heap of one thread, default 128 MiB. */
  readonly heapMbMax?: number;
}

export interface TaskOptions<Input> {
  /** An organization runs one task at a time; its further tasks wait. */
  readonly organizationId: OrganizationId;
  readonly input: Input;
  readonly signal: AbortSignal;
  /** Takes about a second at most, and need not wait for longer tasks of others. */
  readonly isShort?: boolean;
}

/** Reads the data of a task and sends it. */
export type SendChunks<Chunk> = (session: ThreadSession<Chunk>) => Promise<void>;

const HEAP_MB_MAX = 128;
const IDLE_TIMEOUT_MS = 60_000;
/** A stopped or canceled task that still runs after this time loses its thread. */
const GRACE_MS = 1_000;
const WAITING_MAX = 64;
const WAITING_PER_ORGANIZATION_MAX = 4;
/** The threads get less processor time than the event loop when all cores are busy. */
const NICE_INCREMENT = 5;

export class ThreadPool {
  readonly #clock: Clock;
  readonly #piscina: Piscina<TaskCall<unknown>, TaskOutcome<unknown>>;
  readonly #turns: ThreadTurns;
  readonly #tasks;
  readonly #terminated;
  readonly #closing = new AbortController();

  constructor(options: ThreadPoolOptions) {
    const { clock, log, metrics, heapMbMax = HEAP_MB_MAX } = options;
    const threads = options.threads ?? Math.max(2, availableParallelism() - 1);
    this.#clock = clock;
    this.#tasks = metrics.gauge("muster_thread_tasks", "Tasks on threads, and tasks that wait for one.", [
      "state",
    ]);
    this.#terminated = metrics.counter(
      "muster_threads_terminated_total",
      "Threads ended because a task did not.",
    );
    this.#turns = new ThreadTurns({
      threads,
      longTasksMax: Math.max(1, threads - 1),
      waitingMax: WAITING_MAX,
      waitingPerOrganizationMax: WAITING_PER_ORGANIZATION_MAX,
    });
    this.#piscina = new Piscina({
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: IDLE_TIMEOUT_MS,
      // Idle threads wait for messages as an event loop does, and tasks receive chunks while they run.
      atomics: "disabled",
      niceIncrement: NICE_INCREMENT,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      recordTiming: false,
    });
    this.#piscina.on("error", (error: unknown) => log.error({ err: error }, "an idle thread failed"));
  }

  /** Tasks that run now. A canceled task counts until its thread is free. */
  get running(): number {
    return this.#turns.running;
  }

  get waiting(): number {
    return this.#turns.waiting;
  }

  async run<Input, Chunk, Result>(
    task: ThreadTask<Input, Chunk, Result>,
    options: TaskOptions<Input>,
    sendChunks: SendChunks<Chunk> = async () => {},
  ): Promise<Result> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    const { organizationId, isShort = false } = options;
    const turn = this.#turns.take({ organizationId, isShort, signal });
    this.#observe();
    const endTurn = await turn.finally(() => this.#observe());
    if (signal.aborted) {
      // The caller left just when the thread became free.
      endTurn();
      this.#observe();
      throw signal.reason;
    }
    // The turn ends when the thread is free, perhaps after the caller has left.
    return this.#start(task, options.input, signal, sendChunks, () => {
      endTurn();
      this.#observe();
    });
  }

  /** Ends all tasks and threads. */
  async close(): Promise<void> {
    this.#closing.abort(new AppError("UNAVAILABLE"));
    await this.#piscina.destroy();
  }

  #observe(): void {
    this.#tasks.set({ state: "running" }, this.running);
    this.#tasks.set({ state: "waiting" }, this.waiting);
  }

  #start<Input, Chunk, Result>(
    task: ThreadTask<Input, Chunk, Result>,
    input: Input,
    signal: AbortSignal,
    sendChunks: SendChunks<Chunk>,
    endTurn: () => void,
  ): Promise<Result> {
    const { port1, port2 } = new MessageChannel();
    const state = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const session = new ThreadSession<Chunk>(port1, state);
    const kill = new AbortController();
    const outcome = this.#piscina.run(
      { input, port: port2, state },
      { filename: task.module.href, name: task.name, transferList: [port2], signal: kill.signal },
    ) as Promise<TaskOutcome<Result>>;
    const ended = new AbortController();
    session.signal.addEventListener("abort", () => {
      void this.#clock.sleep(GRACE_MS, ended.signal).then(() => {
        if (ended.signal.aborted) return;
        this.#terminated.inc();
        kill.abort();
      });
    });
    const result = outcome.then(resultOf, (error: unknown) => {
      throw failureOf(error, kill.signal.aborted);
    });
    const leave = (): void => session.cancel();
    signal.addEventListener("abort", leave, { once: true });
    return new Promise<Result>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: ended.signal });
      result.then(resolve, reject);
      sendAll(session, sendChunks).catch((error: unknown) => {
        session.cancel();
        reject(error);
      });
      void result
        .catch(() => {})
        .then(() => {
          signal.removeEventListener("abort", leave);
          ended.abort();
          session.close();
          endTurn();
        });
    });
  }
}

/** Rejects if the sender fails while the task still takes chunks. */
async function sendAll<Chunk>(session: ThreadSession<Chunk>, sendChunks: SendChunks<Chunk>): Promise<void> {
  try {
    await session.started;
    await sendChunks(session);
    session.finish();
  } catch (error) {
    if (!session.signal.aborted) throw error;
  }
}

function resultOf<Result>(outcome: TaskOutcome<Result>): Result {
  if ("result" in outcome) return outcome.result;
  const { reason, message, details } = outcome.error;
  throw new AppError(reason, { message, details });
}

function failureOf(error: unknown, isKilled: boolean): unknown {
  const isOutOfMemory =
    error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
  return isKilled || isOutOfMemory ? new AppError("WORK_LIMIT_REACHED", { cause: error }) : error;
}
