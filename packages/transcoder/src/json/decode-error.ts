// Reports why JSON or text cannot be read, and at which path. Callers prepend to the path while the error
// propagates.

const SHOWN_CHARACTERS_MAX = 120;

/**
 * The value sent by the client does not have the field's type (REQUEST_MALFORMED), or breaks a rule of the
 * field that is checked before decoding (FIELD_INVALID). Becomes an AppError with a single field.
 */
export class DecodeError extends Error {
  override name = "DecodeError";
  readonly reason: "REQUEST_MALFORMED" | "FIELD_INVALID";
  /** Path in snake_case, such as "events[0].name"; empty at the top. */
  path = "";

  constructor(message: string, reason: DecodeError["reason"] = "REQUEST_MALFORMED") {
    super(message);
    this.reason = reason;
  }

  /** Prepends the name of the field, or an index in brackets, to the path. */
  under(segment: string): this {
    const shown = segment.slice(0, SHOWN_CHARACTERS_MAX).toWellFormed();
    if (this.path === "") this.path = shown;
    else this.path = this.path.startsWith("[") ? shown + this.path : `${shown}.${this.path}`;
    return this;
  }
}

/** Runs `read` and prepends the segment to the path of a DecodeError. */
export function under<T>(segment: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof DecodeError ? error.under(segment) : error;
  }
}
