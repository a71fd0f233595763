// Finds folders that import each other, directly or over others. Type imports count.
import { dirname, join, normalize } from "node:path";
import { type Finding, isTestOrTool, type SourceFile } from "./source-files.ts";

/** Files that compose a package or a service and therefore import from every folder. */
const COMPOSITION = /^(packages|services)\/[^/]+\/src\/(index|module)\.ts$|^apps\/[^/]+\/src\/main\.ts$/;

const IMPORT = /\b(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g;

interface FolderImport {
  readonly from: string;
  readonly to: string;
  /** The first file and its import, for the finding. */
  readonly path: string;
  readonly line: number;
}

export function isFolderCycleSource(path: string): boolean {
  return (
    /^(packages|services|apps)\/[^/]+\/src\/.*\.ts$/.test(path) &&
    !isTestOrTool(path) &&
    !COMPOSITION.test(path)
  );
}

/** Returns a finding for each import between folders of the same circle. */
export function checkFolderCycles(files: readonly SourceFile[]): Finding[] {
  const imports = folderImports(files);
  const circles = circlesOf(imports);
  return [...imports.values()]
    .filter(({ from, to }) => circles.get(from) === circles.get(to))
    .map(({ from, to, path, line }) => {
      const message = `${from} and ${to} import each other, directly or over others`;
      return { path, line, message };
    });
}

function folderImports(files: readonly SourceFile[]): Map<string, FolderImport> {
  const imports = new Map<string, FolderImport>();
  for (const { path, text } of files) {
    for (const match of text.matchAll(IMPORT)) {
      const target = normalize(join(dirname(path), match[1] ?? ""));
      const [from, to] = [dirname(path), dirname(target)];
      if (from === to || packageOf(from) !== packageOf(to) || COMPOSITION.test(target)) continue;
      const line = text.slice(0, match.index).split("\n").length;
      const key = `${from} ${to}`;
      if (!imports.has(key)) imports.set(key, { from, to, path, line });
    }
  }
  return imports;
}

function packageOf(folder: string): string {
  return folder.split("/", 2).join("/");
}

/** Folders by the circle that they belong to: two folders share a number exactly if each reaches the other. */
function circlesOf(imports: ReadonlyMap<string, FolderImport>): Map<string, number> {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports.values()) {
    targets.set(from, [...(targets.get(from) ?? []), to]);
    if (!targets.has(to)) targets.set(to, []);
  }
  const reached = new Map(
    [...targets.keys()].map((folder) => [folder, reachedFrom(folder, targets)] as const),
  );
  const circles = new Map<string, number>();
  for (const folder of targets.keys()) {
    const other = [...circles.keys()].find(
      (each) => reached.get(each)?.has(folder) === true && reached.get(folder)?.has(each) === true,
    );
    circles.set(folder, other === undefined ? circles.size : (circles.get(other) ?? 0));
  }
  return circles;
}

function reachedFrom(start: string, targets: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const pending = [start];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const target of targets.get(folder) ?? []) {
      if (!reached.has(target)) pending.push(target);
      reached.add(target);
    }
  }
  return reached;
}
