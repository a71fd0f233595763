// Reads and shrinks the list of files that may still break the prose rules.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../source-files.ts";

export const ALLOW_LIST = "tools/lint/prose-allowed.txt";

export function readAllowList(root: string): string[] {
  return readFileSync(join(root, ALLOW_LIST), "utf8")
    .split("\n")
    .filter((path) => path !== "");
}

/**
 * Findings about the list itself. `violating` are the files of the tree that break a rule; `filesMax` is the cap
 * that stands in the code, so that a longer list needs an edit there.
 */
export function checkAllowList(
  allowed: readonly string[],
  violating: ReadonlySet<string>,
  filesMax: number,
): Finding[] {
  const findings: Finding[] = [];
  for (const [index, path] of allowed.entries()) {
    const isRepeated = allowed.indexOf(path) !== index;
    if (violating.has(path) && !isRepeated) continue;
    findings.push({
      path: ALLOW_LIST,
      line: index + 1,
      message: `${path} has no violation: remove the line`,
    });
  }
  if (allowed.length !== filesMax) {
    const message = `${allowed.length} files, but ALLOWED_FILES in tools/lint/prose.ts is ${filesMax}; the number may only shrink`;
    findings.push({ path: ALLOW_LIST, line: 1, message });
  }
  return findings;
}

/** Removes the lines of files that violate nothing and writes the new length into `capFile`. */
export function shrinkAllowList(root: string, violating: ReadonlySet<string>, capFile: string): number {
  const kept = [...new Set(readAllowList(root))].filter((path) => violating.has(path)).sort();
  writeFileSync(join(root, ALLOW_LIST), kept.map((path) => `${path}\n`).join(""));
  const code = readFileSync(join(root, capFile), "utf8");
  const cap = `ALLOWED_FILES = ${kept.length};`;
  writeFileSync(join(root, capFile), code.replace(/ALLOWED_FILES = \d+;/, cap));
  return kept.length;
}
