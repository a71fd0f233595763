// Plants circles of folders, type imports among them, and expects each one to be found.
import { expect, test } from "vitest";
import { checkFolderCycles, isFolderCycleSource } from "./folder-cycles.ts";

function file(path: string, ...imports: string[]): { path: string; text: string } {
  return { path: `services/events/src/${path}`, text: `// Planted.\n${imports.join("\n")}\n` };
}

function found(files: ReturnType<typeof file>[]): string[] {
  return checkFolderCycles(files).map(({ path, line, message }) => `${path}:${line} ${message}`);
}

const merging = file("people/merge.ts", 'import { rows } from "../profiles/profile-store.ts";');
const profiles = file("profiles/get.ts", 'import type { Person } from "../people/person.ts";');

test("two folders that import each other are found, type imports included", () => {
  expect(found([merging, profiles])).toEqual([
    expect.stringMatching(
      /^services\/events\/src\/people\/merge\.ts:2 .*people and .*profiles import each other/,
    ),
    expect.stringMatching(
      /^services\/events\/src\/profiles\/get\.ts:2 .*profiles and .*people import each other/,
    ),
  ]);
});

test("a circle over a third folder is found, and imports into it are not", () => {
  const circle = [
    file("a/one.ts", 'import "../b/two.ts";'),
    file("b/two.ts", 'export * from "../c/three.ts";'),
    file("c/three.ts", 'const late = await import("../a/one.ts");'),
  ];
  const outside = file("d/four.ts", 'import "../a/one.ts";');
  expect(found([...circle, outside])).toHaveLength(3);
});

test("a parent and its child folder may not import each other either", () => {
  expect(
    found([file("topics.ts", 'import "./a/one.ts";'), file("a/one.ts", 'import "../topics.ts";')]),
  ).toHaveLength(2);
});

test("imports in one direction, within a folder or of another package pass", () => {
  expect(
    found([merging, file("profiles/profile-store.ts", 'import "./other.ts";', 'import "@muster/db";')]),
  ).toEqual([]);
});

test("files that compose do not count, nor do tests", () => {
  const root = file("module.ts", 'import "./a/one.ts";');
  expect(isFolderCycleSource(root.path)).toBe(false);
  expect(isFolderCycleSource("services/events/src/a/one.test.ts")).toBe(false);
  expect(isFolderCycleSource("services/events/src/a/one.ts")).toBe(true);
  expect(found([file("a/one.ts", 'import type { Deps } from "../module.ts";')])).toEqual([]);
});
