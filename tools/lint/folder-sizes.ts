// Finds folders with so many source files that their names no longer distinguish the parts.
import { dirname } from "node:path";
import { type Finding, isGenerated, isTestOrTool } from "./source-files.ts";

export const FOLDER_FILES_MAX = 15;

/** Findings for folders that hold more than {@link FOLDER_FILES_MAX} source files; tests and migrations do not count. */
export function checkFolderSizes(paths: readonly string[]): Finding[] {
  const counts = new Map<string, number>();
  for (const path of paths) {
    if (!path.endsWith(".ts") || isGenerated(path) || path.endsWith(".test.ts")) continue;
    // The order of migrations is their numbers, and no migration is ever moved.
    if (/\/migrations\/\d{4}_[^/]*$/.test(path)) continue;
    if (isTestOrTool(path) && !path.startsWith("packages/testkit/")) continue;
    counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > FOLDER_FILES_MAX)
    .map(([path, count]) => ({
      path,
      line: 0,
      message: `${count} source files; at most ${FOLDER_FILES_MAX}: split the folder by meaning`,
    }));
}
