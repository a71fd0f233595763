// Connects the caller of a task with the thread that runs the task: sends chunks, and ends the task.
import type { MessagePort, Transferable } from "node:worker_threads";
import { AppError } from "@muster/errors";
import { type PoolMessage, type TaskMessage, TaskState } from "./thread-task.ts";

/** Chunks that a thread has not taken yet; further ones wait. */
const UNTAKEN_CHUNKS_MAX = 2;

export class ThreadSession<Chunk> {
  /** Resolves when the thread runs the task. */
  readonly started: Promise<void>;
  readonly #port: MessagePort;
  readonly #state: Int32Array;
  readonly #over = new AbortController();
  #untaken = 0;
  #wakeSenders: (() => void)[] = [];

  constructor(port: MessagePort, state: SharedArrayBuffer) {
    this.#port = port;
    this.#state = new Int32Array(state);
    this.started = new Promise((resolve) => {
      port.on("message", (message: TaskMessage) => {
        if (message === "started") return resolve();
        this.#untaken -= 1;
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
    // One caller of several may find the room taken again.
    while (this.#untaken >= UNTAKEN_CHUNKS_MAX && !this.signal.aborted) await this.#room();
    this.signal.throwIfAborted();
    this.#untaken += 1;
    const message: PoolMessage<Chunk> = { chunk };
    this.#port.postMessage(message, transfer);
  }

  /** Makes the task return what it has: its control throws TaskStopped, and the chunks end. */
  stop(): void {
    this.#end(TaskState.stopped);
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

  #room(): Promise<void> {
    return new Promise((resolve) => this.#wakeSenders.push(resolve));
  }

  #wake(): void {
    const senders = this.#wakeSenders;
    this.#wakeSenders = [];
    for (const wake of senders) wake();
  }
}
