// Compares the committed generated code with the output of the generators. Needs no network.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "../run-process.ts";
import type { Finding } from "./source-files.ts";

const GENERATED = "packages/contracts/src/gen";

export async function checkGeneratedCode(root: string): Promise<Finding[]> {
  const folder = mkdtempSync(join(tmpdir(), "muster-gen-"));
  try {
    const buf = join(root, "node_modules/.bin/buf");
    const { code, output } = await runProcess(buf, ["generate", "--output", folder], { cwd: root });
    if (code !== 0) return [{ path: "proto", line: 0, message: output.trim() }];
    return compareFolders(join(folder, GENERATED), join(root, GENERATED));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compareFolders(fresh: string, committed: string): Finding[] {
  const paths = new Set([...listFiles(fresh), ...listFiles(committed)]);
  return [...paths].sort().flatMap((path) => {
    const wanted = read(join(fresh, path));
    const found = read(join(committed, path));
    if (wanted === found) return [];
    const message = wanted === undefined ? "no proto gives this file" : "is not what the protos give";
    return [{ path: `${GENERATED}/${path}`, line: 0, message: `${message}: run make gen` }];
  });
}

function listFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
