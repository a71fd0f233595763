// Tests sort keys and the texts of positions.
import { expect, test } from "vitest";
import type { ListFields } from "../filter/list-fields.ts";
import { parseSort } from "./parse-sort.ts";
import { parsePosition, positionText } from "./position-text.ts";

const FIELDS: ListFields = {
  id: { type: { kind: "id" }, column: "id" },
  name: { type: { kind: "text" }, column: "name_key" },
  at: { type: { kind: "instant" }, column: "at_ms", isNullable: true },
  at_alias: { type: { kind: "instant" }, column: "at_ms", isNullable: true },
};
const keysOf = (sort: string) => {
  const { keys, idDirection } = parseSort(sort, FIELDS);
  return [...keys.map(({ column, direction }) => `${column} ${direction}`), `id ${idDirection}`];
};

test("keys and the direction of ties", () => {
  expect(keysOf("")).toEqual(["id asc"]);
  expect(keysOf("name")).toEqual(["name_key asc", "id asc"]);
  expect(keysOf("-name,at")).toEqual(["name_key desc", "at_ms asc", "id asc"]);
  expect(keysOf("name,-id,at")).toEqual(["name_key asc", "id desc"]);
});

test("bad sorts have a position", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["nope", 0],
    ["name,nope", 5],
    ["name,", 5],
    [",name", 0],
    ["--name", 0],
    ["name,-name", 5],
    ["at,at_alias", 3],
    ["id,id", 3],
    ["name desc", 0],
    ["__proto__", 0],
  ];
  for (const [sort, position] of cases) {
    const details = { position: String(position) };
    expect(() => parseSort(sort, FIELDS), sort).toThrow(
      expect.objectContaining({ reason: "FIELD_INVALID", details }),
    );
  }
});

test("positions survive their text form", () => {
  const sort = parseSort("name,at", FIELDS);
  const id = Buffer.alloc(16, 7);
  for (const position of [
    [Buffer.from("jo"), 5, id],
    [Buffer.alloc(0), null, id],
  ]) {
    expect(parsePosition(positionText(position), sort)).toEqual(position);
  }
  for (const values of [
    [],
    ["=am8", 5],
    ["=am8", 5, "=AA"],
    [5, 5, "=BwcHBwcHBwcHBwcHBwcHBw"],
    ["", 5, "x"],
  ]) {
    expect(parsePosition(values, sort)).toBeUndefined();
  }
});
