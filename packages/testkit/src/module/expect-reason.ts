// Checks that a call is refused, and why.
import { AppError, type ReasonName } from "@muster/errors";
import { expect } from "vitest";

/** More about the error: values, or matchers such as `expect.stringContaining`. */
export interface Refusal {
  readonly fields?: readonly object[];
  readonly details?: object;
  readonly message?: unknown;
  readonly retryAfterMs?: unknown;
  readonly row?: object;
}

/** Resolves to the error. Fails unless the call is rejected with this reason, and `more` matches the error. */
export async function expectReason(
  call: Promise<unknown>,
  reason: ReasonName,
  more: Refusal = {},
): Promise<AppError> {
  const error: unknown = await call.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error, `a call to be refused with ${reason}`).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ ...more, reason });
  return error as AppError;
}
