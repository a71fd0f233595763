// Builds the error of a malformed argument of a list, with the position of the mistake.
import { AppError } from "@muster/errors";

/** FIELD_INVALID for the argument. `position` counts code points from 0. */
export function queryError(argument: string, message: string, position: number): AppError {
  return new AppError("FIELD_INVALID", {
    message: `${argument}: ${message} (position ${position})`,
    fields: [{ field: argument, message }],
    details: { position: String(position) },
  });
}

/** The number of code points before the UTF-16 index. */
export function codePointsBefore(text: string, index: number): number {
  let count = 0;
  for (const character of text.slice(0, index)) count += character.length > 0 ? 1 : 0;
  return count;
}
