// Checks that packages export by name: a pattern would expose every file, stores included.
import type { Finding, SourceFile } from "./source-files.ts";

/** Generated code is its own interface. */
const ALLOWED = new Set(["packages/contracts/package.json"]);

export function isPackageManifest(path: string): boolean {
  return /^(packages|services|apps)\/[^/]+\/package\.json$/.test(path);
}

export function checkPackageExports({ path, text }: SourceFile): Finding[] {
  if (ALLOWED.has(path)) return [];
  const { exports = {} } = JSON.parse(text) as { exports?: Readonly<Record<string, string>> };
  const patterns = Object.keys(exports).filter((name) => name.includes("*"));
  const line = (name: string): number => text.slice(0, text.indexOf(`"${name}"`)).split("\n").length;
  return patterns.map((name) => ({ path, line: line(name), message: `exports "${name}": name each export` }));
}
