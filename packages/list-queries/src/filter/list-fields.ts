// Declares the fields that a list can be filtered and sorted by.

export type FieldType =
  /** A UUID, stored as 16 bytes. */
  | { readonly kind: "id" }
  /** Compared without regard to case: the column holds the text key. */
  | { readonly kind: "text" }
  | { readonly kind: "integer" }
  /** Stored as epoch milliseconds. */
  | { readonly kind: "instant" }
  /** Stored as 0 and 1. */
  | { readonly kind: "boolean" }
  /** One of a closed list of words, stored as bytes. */
  | { readonly kind: "enum"; readonly values: readonly string[] };

export interface ListField {
  readonly type: FieldType;
  /** The column, with the name of its table where a query joins several. */
  readonly column: string;
  readonly isNullable?: boolean;
}

/** By name, aliases included. A name that is not here is refused. */
export type ListFields = Readonly<Record<string, ListField>>;
