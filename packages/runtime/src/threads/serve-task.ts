// Runs a task on a thread: receives the chunks of the pool and returns the result. Only code on threads imports
// this file.
import type { MessagePort } from "node:worker_threads";
import { AppError } from "@muster/errors";
import { TaskControl } from "./task-control.ts";
import type { PoolMessage, TaskCall, TaskMessage, TaskOutcome, ThreadTask } from "./thread-task.ts";

export type TaskHandler<Input, Chunk, Result> = (
  input: Input,
  chunks: AsyncIterable<Chunk>,
  control: TaskControl,
) => Result | Promise<Result>;

/** Returns the function that the module of the task exports under the name of the task. */
export function serveTask<Input, Chunk, Result>(
  _task: ThreadTask<Input, Chunk, Result>,
  handler: TaskHandler<Input, Chunk, Result>,
): (call: TaskCall<Input>) => Promise<TaskOutcome<Result>> {
  return async ({ input, port, state }) => {
    const chunks = new ChunkReader<Chunk>(port);
    send(port, "started");
    try {
      return { result: await handler(input, chunks, new TaskControl(state)) };
    } catch (error) {
      // A clone of an AppError would lose its class.
      if (!(error instanceof AppError)) throw error;
      const { reason, message, details } = error;
      return { error: { reason, message, details } };
    } finally {
      port.close();
    }
  };
}

/** The chunks of one task in order. */
class ChunkReader<Chunk> implements AsyncIterable<Chunk> {
  readonly #port: MessagePort;
  readonly #chunks: Chunk[] = [];
  #isEnded = false;
  #wake: () => void = () => {};

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (message: PoolMessage<Chunk>) => {
      if (message === "end") this.#isEnded = true;
      else this.#chunks.push(message.chunk);
      this.#wake();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
    for (;;) {
      while (this.#chunks.length > 0) {
        const [chunk] = this.#chunks.splice(0, 1);
        if (chunk !== undefined) yield chunk;
        send(this.#port, "done");
      }
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function send(port: MessagePort, message: TaskMessage): void {
  port.postMessage(message);
}
