// Reads page requests and cuts pages of lists: sizes, and sealed tokens with the position of the last row.
import { isUuid, PAGE_SIZE_DEFAULT, type PageTokens } from "@muster/core";
import { AppError } from "@muster/errors";

export interface PageRequest {
  /** 0 for the default size. */
  readonly pageSize: number;
  /** "" for the first page. */
  readonly pageToken: string;
}

/** The values in a token that identify the last row of a page. */
export type PagePosition = readonly (string | number)[];

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** "" at the end of the list. */
  readonly nextPageToken: string;
}

/**
 * Returns the size of a page and the position after which the page begins (undefined: from the start). `scope`
 * names the list and all other arguments. `parse` returns undefined for a position that is not of this list; the
 * token is then rejected with PAGE_TOKEN_INVALID.
 */
export function readPage<Position>(
  tokens: PageTokens,
  scope: string,
  request: PageRequest,
  parse: (position: PagePosition) => Position | undefined,
): { readonly size: number; readonly after: Position | undefined } {
  const size = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
  if (request.pageToken === "") return { size, after: undefined };
  const position = tokens.open(scope, request.pageToken);
  const after = position && parse(position);
  if (after === undefined) throw new AppError("PAGE_TOKEN_INVALID");
  return { size, after };
}

/**
 * Cuts rows to a page, with the token of the next page. Callers read at least one row more than `size`, so that the
 * end of the list is known.
 */
export function cutPage<Row>(
  tokens: PageTokens,
  scope: string,
  rows: readonly Row[],
  size: number,
  positionOf: (row: Row) => PagePosition,
): Page<Row> {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  const hasMore = rows.length > size && last !== undefined;
  return { rows: page, nextPageToken: hasMore ? tokens.seal(scope, positionOf(last)) : "" };
}

/** Parses the position of a list that is ordered by a UUID alone. */
export function idPosition<Id extends string>([id]: PagePosition): Id | undefined {
  return typeof id === "string" && isUuid(id) ? (id as Id) : undefined;
}
