// Tests page sizes, tokens, the end of a list, and the bounds of a page.
import { ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import { PAGE_BYTES_MAX, PAGE_SIZE_DEFAULT, PageTokens } from "@muster/core";
import { expect, test } from "vitest";
import { idPosition, type PagePosition, readPage } from "./page.ts";

const tokens = new PageTokens(Buffer.alloc(32, 1));
const numberOf = ([value]: PagePosition) => (typeof value === "number" ? value : undefined);

interface Row {
  readonly number: number;
  readonly bytes: number;
}

/** Rows with numbers from 0, and the limits with which they were read. */
class List {
  readonly limits: number[] = [];
  readonly #rows: readonly Row[];
  /** Numbers of rows without an item. */
  readonly #hidden: ReadonlySet<number>;

  constructor(sizes: readonly number[], hidden: readonly number[] = []) {
    this.#rows = sizes.map((bytes, number) => ({ number, bytes }));
    this.#hidden = new Set(hidden);
  }

  async page(pageSize: number, pageToken: string) {
    const { items, nextPageToken } = await readPage(tokens, "list", { pageSize, pageToken }, numberOf).fill({
      item: ProfileSchema,
      read: async (after = -1, limit) => {
        this.limits.push(limit);
        return this.#rows.filter(({ number }) => number > after).slice(0, limit);
      },
      positionOf: ({ number }) => [number],
      toItems: (rows) =>
        rows.map(({ number, bytes }) =>
          this.#hidden.has(number) ? undefined : { id: String(number), name: "n".repeat(bytes) },
        ),
    });
    return { items, numbers: items.map(({ id }) => Number(id)), nextPageToken };
  }

  /** The numbers of the items, page by page. */
  async walk(pageSize: number): Promise<number[][]> {
    const pages: number[][] = [];
    let pageToken = "";
    do {
      const page = await this.page(pageSize, pageToken);
      pages.push(page.numbers);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return pages;
  }
}

const small = (count: number): number[] => Array.from({ length: count }, () => 1);

test("pages cover a list without gaps and repeats", async () => {
  expect(await new List(small(7)).walk(3)).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
  expect((await new List(small(1234)).walk(500)).map(({ length }) => length)).toEqual([500, 500, 234]);
});

test("a last page that is full, and an empty list, have no next page", async () => {
  expect(await new List(small(2)).walk(2)).toEqual([[0, 1]]);
  expect(await new List([]).walk(2)).toEqual([[]]);
});

test("a page ends before its bytes exceed the limit, and statements read few rows more", async () => {
  const list = new List(Array.from({ length: 200 }, () => 128 * 1024));
  const pages = await list.walk(500);
  expect(pages.flat()).toEqual(Array.from({ length: 200 }, (_, number) => number));
  expect(new Set(pages.slice(0, -1).map(({ length }) => length))).toEqual(new Set([27]));
  expect(Math.max(...list.limits)).toBe(64);
});

test("bytes count as JSON writes them", async () => {
  const list = new List([1, 1]);
  const { items } = await list.page(2, "");
  expect(items).toHaveLength(2);
  const name = "\u0001".repeat(PAGE_BYTES_MAX / 12);
  const escaped = await readPage(tokens, "list", { pageSize: 9, pageToken: "" }, numberOf).fill({
    item: ProfileSchema,
    read: async (after = 0, limit) => [1, 2, 3].filter((number) => number > after).slice(0, limit),
    positionOf: (number) => [number],
    toItems: (rows) => rows.map(() => ({ name })),
  });
  expect(escaped.items).toHaveLength(1);
  expect(escaped.nextPageToken).not.toBe("");
});

test("a row above the limit has a page of its own", async () => {
  const large = PAGE_BYTES_MAX + 1;
  expect(await new List([1, large, large, 1, 1]).walk(500)).toEqual([[0], [1], [2], [3, 4]]);
});

test("a row without an item takes its place in the page", async () => {
  expect(await new List(small(5), [0, 1, 4]).walk(2)).toEqual([[], [2, 3], []]);
});

test("the default size", () => {
  const { size, after } = readPage(tokens, "list", { pageSize: 0, pageToken: "" }, numberOf);
  expect([size, after]).toEqual([PAGE_SIZE_DEFAULT, undefined]);
});

test("tokens of another list, garbled tokens and other positions are rejected", () => {
  const foreign = tokens.seal("another list", [3]);
  const otherPosition = tokens.seal("list", ["3"]);
  for (const pageToken of [foreign, otherPosition, `${tokens.seal("list", [3])}x`, "garbled"]) {
    expect(() => readPage(tokens, "list", { pageSize: 1, pageToken }, numberOf)).toThrow(
      expect.objectContaining({ reason: "PAGE_TOKEN_INVALID" }),
    );
  }
});

test("a position by id", () => {
  const id = "0190b3c4-0000-7000-8000-000000000001";
  expect(idPosition([id])).toBe(id);
  for (const position of [[], [7], ["an id"]]) expect(idPosition(position)).toBeUndefined();
});
