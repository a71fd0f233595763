// Pure. Defines the error for an invalid predicate, with its position. The message fits FIELD_INVALID:
// `invalidField(path, error.message)`.

/** A position in the source. Line and column start at 1; columns count characters. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

export class PredicateError extends Error {
  override name = "PredicateError";
  readonly line: number;
  readonly column: number;

  constructor(reason: string, position: SourcePosition) {
    super(`line ${position.line}, column ${position.column}: ${reason}`);
    this.line = position.line;
    this.column = position.column;
  }
}

export function positionOf(source: string, offset: number): SourcePosition {
  const before = source.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: before.length, column: [...(before.at(-1) ?? "")].length + 1 };
}
