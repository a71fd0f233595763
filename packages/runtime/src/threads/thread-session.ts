// Connects the caller of a task with the thread that runs the task: sends chunks, and ends the task.
import type { MessagePort, Transferable } from "node:worker_threads";
import { AppError } from "@muster/errors";
import { type PoolMessage, type TaskMessage, TaskState } from "./thread-task.ts";

/** Chunks that a thread has not finished yet; further chunks wait. */
const OPEN_CHUNKS_MAX = 2;

export class ThreadSession<Chunk> {
  /** Resolves when the thread runs the task. */
  readonly started: Promise<void>;
  readonly #port: MessagePort;
  readonly #state: Int32Array;
  readonly #over = new AbortController();
  #openChunks = 0;
  #waiting: (() => void)[] = [];

  constructor(port: MessagePort, state: SharedArrayBuffer) {
    this.#port = port;
    this.#state = new Int32Array(state);
    this.started = new Promise((resolve) => {
      port.on("message", (message: TaskMessage) => {
        if (message === "started") return resolve();
        this.#openChunks -= 1;
        this.#wake();
      });
    });
    this.signal.addEventListener("abort", () => this.#wake());
  }

  /** Aborts when the task takes no more chunks: it has ended, or was stopped or canceled. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /**
   * Hands over a copy of the chunk, which may have a few hundred kilobytes, and moves the buffers of
   * `transfer`. Waits while the thread is behind; rejects once the task takes no more chunks.
   */
  async send(chunk: Chunk, transfer: readonly Transferable[] = []): Promise<void> {
    while (this.#openChunks >= OPEN_CHUNKS_MAX && !this.signal.aborted) await this.#nextDone();
    this.signal.throwIfAborted();
    this.#openChunks += 1;
    const message: PoolMessage<Chunk> = { chunk };
    this.#port.postMessage(message, transfer);
  }

  /** Resolves when the task has finished all chunks that were sent, or is over. */
  async idle(): Promise<void> {
    while (this.#openChunks > 0 && !this.signal.aborted) await this.#nextDone();
  }

  /** Makes the task return what it has: its control throws TaskStopped, and the chunks end. */
  stop(): void {
    if (!this.signal.aborted) this.#end(TaskState.stopped);
  }

  /** Makes the task fail: its control throws CANCELED. */
  cancel(): void {
    this.#end(TaskState.canceled);
  }

  /** Ends the chunks of the task. */
  finish(): void {
    this.#port.postMessage("end" satisfies PoolMessage<Chunk>);
  }

  /** Called when the task has ended. */
  close(): void {
    this.#over.abort(new AppError("CANCELED"));
    this.#port.close();
  }

  #end(state: number): void {
    Atomics.store(this.#state, 0, state);
    this.finish();
    this.#over.abort(new AppError("CANCELED"));
  }

  #nextDone(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
