// Why a piece of JSON or text cannot be read, and where it stands. The path grows as the error climbs.

const SHOWN_CHARACTERS_MAX = 120;

/** What a client sent is not of its field's type. Becomes REQUEST_MALFORMED with one field. */
export class DecodeError extends Error {
  override name = "DecodeError";
  /** Path in snake_case, such as "events[0].name"; empty at the top. */
  path = "";

  /** Puts the name of the field, or an index in brackets, before the path. */
  under(segment: string): this {
    const shown = segment.slice(0, SHOWN_CHARACTERS_MAX).toWellFormed();
    if (this.path === "") this.path = shown;
    else this.path = this.path.startsWith("[") ? shown + this.path : `${shown}.${this.path}`;
    return this;
  }
}

/** Runs `read`; an error of its gets the segment before its path. */
export function under<T>(segment: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof DecodeError ? error.under(segment) : error;
  }
}
