// Pure. Defines the error for an invalid predicate, with its position. The message fits FIELD_INVALID:
// `invalidField(path, error.message)`.

/** A position in the source. Line and column start at 1; columns count characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export class PredicateError extends Error {
  override name = "PredicateError";
  readonly line: number;
  readonly column: number;

  constructor(reason: string, place: Place) {
    super(`line ${place.line}, column ${place.column}: ${reason}`);
    this.line = place.line;
    this.column = place.column;
  }
}

export function placeOf(source: string, offset: number): Place {
  const before = source.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: before.length, column: [...(before.at(-1) ?? "")].length + 1 };
}
