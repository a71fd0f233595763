// Plants an export pattern in a manifest and expects the pattern to be found.
import { expect, test } from "vitest";
import { checkPackageExports, isPackageManifest } from "./package-exports.ts";

const manifest = (exports: Record<string, string>): string =>
  `${JSON.stringify({ name: "x", exports }, null, 2)}\n`;

test("a pattern is found, names pass", () => {
  const path = "packages/outbox/package.json";
  const text = manifest({ ".": "./src/index.ts", "./*": "./src/*.ts" });
  expect(checkPackageExports({ path, text })).toEqual([
    { path, line: 5, message: 'exports "./*": name each export' },
  ]);
  expect(
    checkPackageExports({ path, text: manifest({ ".": "./src/index.ts", "./testing": "./src/testing.ts" }) }),
  ).toEqual([]);
  expect(checkPackageExports({ path: "packages/contracts/package.json", text })).toEqual([]);
});

test("manifests of packages, services and apps are checked", () => {
  expect(isPackageManifest("services/events/package.json")).toBe(true);
  expect(isPackageManifest("package.json")).toBe(false);
});
