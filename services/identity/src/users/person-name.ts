// Checks the names of people. Pure.
import { invalidField } from "@muster/errors";

const NAME_CHARACTERS_MAX = 100;
/** Control characters, line breaks, lone surrogates, and characters that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** The trimmed name of a person. FIELD_INVALID for a name that is empty, too long or not one line. */
export function requirePersonName(text: string, path: string): string {
  const name = text.trim();
  if (name === "") throw invalidField(path, "must not be empty");
  if ([...name].length > NAME_CHARACTERS_MAX) {
    throw invalidField(path, `must be at most ${NAME_CHARACTERS_MAX} characters`);
  }
  if (UNPRINTABLE.test(name)) throw invalidField(path, "must not have line breaks or control characters");
  return name;
}
