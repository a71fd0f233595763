// Reads page requests and fills pages of lists, bounded by rows and by bytes. A sealed token holds the position of
// the last row.
import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { AssertionError, isUuid, PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT, type PageTokens } from "@muster/core";
import { AppError } from "@muster/errors";
import { MessageCodecs } from "@muster/transcoder";

export interface PageRequest {
  /** 0 for the default size. */
  readonly pageSize: number;
  /** "" for the first page. */
  readonly pageToken: string;
}

/** The values in a token that identify the last row of a page. */
export type PagePosition = readonly (string | number)[];

export interface Page<Item> {
  readonly items: Item[];
  /** "" at the end of the list. */
  readonly nextPageToken: string;
}

/** How a list reads its rows and converts them to items of the response. */
export interface PageSource<Position, Row, Desc extends DescMessage> {
  /** The message type of an item. */
  readonly item: Desc;
  /** At most `limit` rows after the position, in the order of the list; fewer only at the end of the list. */
  read(after: Position | undefined, limit: number): Promise<readonly Row[]>;
  readonly positionOf: (row: Row) => PagePosition;
  /** The item of each row, in order; undefined leaves a row out. */
  toItems(rows: readonly Row[]): Items<Desc> | Promise<Items<Desc>>;
}

type Items<Desc extends DescMessage> = readonly (MessageInitShape<Desc> | undefined)[];

/** Room for the rest of the response: names, brackets and the token of the next page. */
const WRAPPING_BYTES = 8 * 1024;
const ITEMS_BYTES_MAX = PAGE_BYTES_MAX - WRAPPING_BYTES;
/** Rows that the first statement reads. Later statements read as many rows as the remaining bytes hold. */
const FIRST_ROWS = 64;

const codecs = new MessageCodecs();

/**
 * Reads the size of a page and the position after which it begins. `scope` names the list and all other arguments.
 * `parse` returns undefined for a position that is not of this list; the token is then rejected with
 * PAGE_TOKEN_INVALID.
 */
export function readPage<Position>(
  tokens: PageTokens,
  scope: string,
  request: PageRequest,
  parse: (position: PagePosition) => Position | undefined,
): PageReader<Position> {
  const size = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
  if (request.pageToken === "") return new PageReader(tokens, scope, size, undefined, parse);
  const position = tokens.open(scope, request.pageToken);
  const after = position && parse(position);
  if (after === undefined) throw new AppError("PAGE_TOKEN_INVALID");
  return new PageReader(tokens, scope, size, after, parse);
}

/** One page of a list. */
export class PageReader<Position> {
  readonly size: number;
  /** Undefined: from the start of the list. */
  readonly after: Position | undefined;
  readonly #tokens: PageTokens;
  readonly #scope: string;
  readonly #parse: (position: PagePosition) => Position | undefined;

  constructor(
    tokens: PageTokens,
    scope: string,
    size: number,
    after: Position | undefined,
    parse: (position: PagePosition) => Position | undefined,
  ) {
    this.size = size;
    this.after = after;
    this.#tokens = tokens;
    this.#scope = scope;
    this.#parse = parse;
  }

  /**
   * Reads rows until the page is full, by rows or by bytes, or the list ends. A page holds at least one row, however
   * large the row is.
   */
  async fill<Row, Desc extends DescMessage>(
    source: PageSource<Position, Row, Desc>,
  ): Promise<Page<MessageShape<Desc>>> {
    const items: MessageShape<Desc>[] = [];
    let bytes = 0;
    let taken = 0;
    let last: Row | undefined;
    for (let limit = FIRST_ROWS; ; limit = nextLimit(taken, bytes)) {
      // One more row than the page holds shows whether the list ends.
      const wanted = Math.min(limit, this.size + 1 - taken);
      const after = last === undefined ? this.after : this.#following(source.positionOf(last));
      const rows = await source.read(after, wanted);
      const fitting = rows.slice(0, this.size - taken);
      const rendered = fitting.length === 0 ? [] : await source.toItems(fitting);
      for (const [index, row] of fitting.entries()) {
        const init = rendered[index];
        const item = init && (create(source.item, init) as MessageShape<Desc>);
        const itemBytes = item === undefined ? 0 : encodedBytes(source.item, item);
        if (bytes + itemBytes > ITEMS_BYTES_MAX && last !== undefined)
          return this.#page(items, source.positionOf(last));
        if (item !== undefined) items.push(item);
        bytes += itemBytes;
        taken += 1;
        last = row;
      }
      if (rows.length > fitting.length && last !== undefined)
        return this.#page(items, source.positionOf(last));
      if (rows.length < wanted) return { items, nextPageToken: "" };
    }
  }

  #following(position: PagePosition): Position {
    const after = this.#parse(position);
    if (after === undefined)
      throw new AssertionError(`a position of the list ${this.#scope} is not readable`);
    return after;
  }

  #page<Item>(items: Item[], last: PagePosition): Page<Item> {
    return { items, nextPageToken: this.#tokens.seal(this.#scope, last) };
  }
}

/** The rows that the remaining bytes of the page hold, if they are as large as the rows so far. */
function nextLimit(taken: number, bytes: number): number {
  const perRow = Math.max(1, bytes / Math.max(1, taken));
  return Math.max(1, Math.ceil((ITEMS_BYTES_MAX - bytes) / perRow) + 1);
}

/** The size of the item in a list of a REST response. The binary form is never larger. */
function encodedBytes(desc: DescMessage, item: unknown): number {
  return Buffer.byteLength(codecs.message(desc).encode(item)) + 1;
}

/** Parses the position of a list that is ordered by a UUID alone. */
export function idPosition<Id extends string>([id]: PagePosition): Id | undefined {
  return typeof id === "string" && isUuid(id) ? (id as Id) : undefined;
}
