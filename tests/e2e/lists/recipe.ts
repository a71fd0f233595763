// Recipes declare how a test adds and removes rows of a list during a walk.
import type { RestClient } from "../../harness/rest.ts";
import type { Row } from "./joined-users.ts";

export interface Recipe {
  /** Reads the list; by default the client of all recipes of its kind. */
  readonly client?: RestClient;
  /** The list's path, with or without a query. Each path is walked. */
  readonly paths: readonly string[];
  /** The unique key of a row. */
  readonly keyOf: (row: Row) => string;
  /** Adds a row and returns the key. Each call has a new number. */
  readonly add: (number: number) => Promise<string>;
  /** Removes a row. Absent where no call removes single rows. */
  readonly remove?: (key: string) => Promise<void>;
  /** The list has pages of a fixed size. */
  readonly hasFixedPages?: boolean;
}

export const idOf = ({ id }: Row): string => id;
