// Golden files: what was reviewed once must not change unseen.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const folder = new URL("../../../tests/golden/", import.meta.url);

/**
 * Rejects unless tests/golden/<name> holds exactly `text`. With MUSTER_GOLDEN_UPDATE=1 the file is rewritten
 * instead, for review as a diff.
 */
export async function golden(name: string, text: string): Promise<void> {
  const path = new URL(name, folder).pathname;
  if (process.env.MUSTER_GOLDEN_UPDATE === "1") {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return;
  }
  const expected = await readFile(path, "utf8").catch(() => undefined);
  if (expected === text) return;
  const fix = "run again with MUSTER_GOLDEN_UPDATE=1 and review the diff";
  if (expected === undefined) throw new Error(`tests/golden/${name} does not exist; ${fix}`);
  throw new Error(`tests/golden/${name} differs ${firstDifference(expected, text)}; ${fix}`);
}

function firstDifference(expected: string, actual: string): string {
  const before = expected.split("\n");
  const after = actual.split("\n");
  const line = before.findIndex((text, index) => text !== after[index]);
  const at = line === -1 ? before.length : line;
  return `at line ${at + 1}:\n- ${before[at] ?? "(end)"}\n+ ${after[at] ?? "(end)"}\n`;
}
