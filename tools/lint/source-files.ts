// Lists the files of the repository for the checks: files that git tracks or would track.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** A finding of a check. `warning` prints and passes. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
  readonly warning?: boolean;
}

function listRepositoryFiles(root: string): string[] {
  const output = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const paths = output.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
  return [...new Set(paths)].sort();
}

export function readSourceFiles(root: string, keep: (path: string) => boolean): SourceFile[] {
  return listRepositoryFiles(root)
    .filter(keep)
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

export function isGenerated(path: string): boolean {
  return path.startsWith("packages/contracts/src/gen/") || path.startsWith("third_party/");
}

/** Tests, their fixtures and the tools that build and check: no part of production. */
export function isTestOrTool(path: string): boolean {
  return (
    path.endsWith(".test.ts") ||
    /\/(tests?|testing|testdata)\//.test(path) ||
    /^(tests|tools|packages\/testkit)\//.test(path) ||
    path === "vitest.config.ts"
  );
}
