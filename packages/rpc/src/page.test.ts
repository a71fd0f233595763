// Tests page sizes, tokens and the end of a list.
import { PAGE_SIZE_DEFAULT, PageTokens } from "@muster/core";
import { expect, test } from "vitest";
import { cutPage, idPosition, type PagePosition, readPage } from "./page.ts";

const tokens = new PageTokens(Buffer.alloc(32, 1));
const numberOf = ([value]: PagePosition) => (typeof value === "number" ? value : undefined);

test("pages cover a list without gaps and repeats", () => {
  const list = Array.from({ length: 7 }, (_, index) => index);
  const found: number[][] = [];
  let pageToken = "";
  do {
    const { size, after = -1 } = readPage(tokens, "list", { pageSize: 3, pageToken }, numberOf);
    const rows = list.filter((value) => value > after).slice(0, size + 1);
    const page = cutPage(tokens, "list", rows, size, (value) => [value]);
    found.push([...page.rows]);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(found).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
});

test("a last page that is full, and an empty list, have no next page", () => {
  expect(cutPage(tokens, "list", [1, 2], 2, (value) => [value]).nextPageToken).toBe("");
  expect(cutPage(tokens, "list", [], 2, () => [])).toEqual({ rows: [], nextPageToken: "" });
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
