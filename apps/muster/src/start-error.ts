// Declares errors that prevent a start.

/** The message states what to do. */
export class StartError extends Error {
  override name = "StartError";
}

export function portProblem(what: string, variable: string, cause: unknown): StartError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StartError(`The ${what} port cannot be opened (${reason}). ${variable} takes another one.`, {
    cause,
  });
}
