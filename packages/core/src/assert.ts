// Assertions: for defects of ours, never for what a caller sent.
import { PlainError } from "./plain-error.ts";

/** A broken invariant. Its message quotes nothing that came from outside. */
export class AssertionError extends PlainError {
  override name = "AssertionError";
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the default branch of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new AssertionError(`a ${typeof value} that no branch expects`);
}
