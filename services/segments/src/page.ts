// Pages every list of this service: sizes, and sealed tokens with the last id shown.
import { PAGE_SIZE_DEFAULT, type PageTokens } from "@muster/core";
import { AppError } from "@muster/errors";

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** `scope` names the list and all other arguments. */
export function readPage(
  tokens: PageTokens,
  scope: string,
  request: PageRequest,
): { readonly size: number; readonly afterId: string | undefined } {
  const size = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
  if (request.pageToken === "") return { size, afterId: undefined };
  const afterId = tokens.open(scope, request.pageToken)?.[0];
  if (typeof afterId !== "string") throw new AppError("PAGE_TOKEN_INVALID");
  return { size, afterId };
}

/** Cuts rows to the page and the token of the next page. Callers read `size` rows plus one. */
export function cutPage<Row>(
  tokens: PageTokens,
  scope: string,
  rows: readonly Row[],
  size: number,
  idOf: (row: Row) => string,
): { readonly rows: readonly Row[]; readonly nextPageToken: string } {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  const nextPageToken = rows.length > size && last !== undefined ? tokens.seal(scope, [idOf(last)]) : "";
  return { rows: page, nextPageToken };
}
