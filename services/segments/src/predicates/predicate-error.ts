// Pure. Why a predicate can't be saved, and where: ready for FIELD_INVALID (`invalidField(path, error.message)`).

/** A place in the source; both count from 1, columns in characters. */
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
