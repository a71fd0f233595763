import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readRecords } from "./read-records.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "muster-records-"));
});
afterAll(async () => rm(folder, { recursive: true }));

async function read(text: string, format: "csv" | "ndjson"): Promise<unknown[]> {
  const path = join(folder, "file");
  await writeFile(path, text);
  const all: unknown[] = [];
  for await (const { line, record, problem } of readRecords(path, format, ",", () => {})) {
    all.push([line, record ?? problem]);
  }
  return all;
}

test("CSV records know the line they begin at, over quoted line breaks and short rows", async () => {
  expect(await read('\uFEFFa,b\n1,"two\nlines"\n3\n\n5,6\n', "csv")).toEqual([
    [2, { a: "1", b: "two\nlines" }],
    [4, "1 columns where the header has 2"],
    [6, { a: "5", b: "6" }],
  ]);
});

test("NDJSON lines that are no objects are reported; the others are read", async () => {
  expect(await read('{"a":1}\n\nnope\n[1]\n{"a":2}', "ndjson")).toEqual([
    [1, { a: 1 }],
    [3, "not JSON"],
    [4, "not a JSON object"],
    [5, { a: 2 }],
  ]);
});
