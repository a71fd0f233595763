// Declares tasks of the thread pool, and the messages between the pool and a thread.
import type { MessagePort } from "node:worker_threads";
import type { ReasonName } from "@muster/errors";

/**
 * A function of a module that runs on a thread. The module is a `.ts` file, the function the result of
 * `serveTask`. Declare the task in a file of its own, which the module and the caller of the pool import.
 */
export interface ThreadTask<Input, Chunk, Result> {
  readonly module: URL;
  /** The exported function. */
  readonly name: string;
  /** Only for types; always undefined. */
  readonly types?: readonly [input: Input, chunk: Chunk, result: Result];
}

/** Declares a task: `threadTask<Input, Chunk, Result>(new URL("./count-thread.ts", import.meta.url), "count")`. */
export function threadTask<Input, Chunk, Result>(
  module: URL,
  name: string,
): ThreadTask<Input, Chunk, Result> {
  return { module, name };
}

/** What a thread receives to start a task. */
export interface TaskCall<Input> {
  readonly input: Input;
  /** Carries chunks to the thread, and {@link TaskMessage}s back. */
  readonly port: MessagePort;
  /** One {@link TaskState}, which a synchronous loop of the task reads. */
  readonly state: SharedArrayBuffer;
}

/** Values of the shared state of a task. */
export const TaskState = { running: 0, stopped: 1, canceled: 2 } as const;

export type PoolMessage<Chunk> = { readonly chunk: Chunk } | "end";

/** "started" comes first; "done" follows for each chunk once the task requests the next. */
export type TaskMessage = "started" | "done";

export type TaskOutcome<Result> = { readonly result: Result } | { readonly error: TaskError };

/** An AppError in a form that may be cloned. */
export interface TaskError {
  readonly reason: ReasonName;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
}
