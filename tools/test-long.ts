// Runs every property test a hundred times as long and counts the cases. Arguments select files by a part of the
// path; MUSTER_TEST_ROUNDS changes the factor.
import { spawn, spawnSync } from "node:child_process";
import { setPriority } from "node:os";
import { createInterface } from "node:readline";

const ROUNDS = process.env.MUSTER_TEST_ROUNDS ?? "100";
const LOWEST_PRIORITY = 19;

interface FileResult {
  readonly cases: number;
  readonly hasPassed: boolean;
}

const startMs = Date.now();
setPriority(LOWEST_PRIORITY);
const files = listFiles(process.argv.slice(2));
let cases = 0;
const failed: string[] = [];
for (const file of files) {
  const result = await runFile(file);
  cases += result.cases;
  if (!result.hasPassed) failed.push(file);
}
const minutes = Math.round((Date.now() - startMs) / 60_000);
print(`test-long: ${cases} cases passed in ${files.length} files, in ${minutes} minutes`);
if (failed.length > 0) print(`test-long: failed: ${failed.join(" ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;

function listFiles(parts: readonly string[]): string[] {
  const { stdout } = spawnSync("git", ["grep", "-l", "checkProperty(", "--", "*.test.ts"], {
    encoding: "utf8",
  });
  const all = stdout.split("\n").filter((file) => file !== "");
  return parts.length === 0 ? all : all.filter((file) => parts.some((part) => file.includes(part)));
}

/** Each file has a process, so that a crash ends only the tests of this file. */
async function runFile(file: string): Promise<FileResult> {
  const options = ["--testTimeout=0", "--disableConsoleIntercept"];
  const child = spawn("vitest", ["run", ...options, file], {
    env: { ...process.env, MUSTER_TEST_ROUNDS: ROUNDS },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => {
    child.on("exit", resolve);
  });
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    print(line);
    count += Number(/^property: .*: (\d+) cases passed$/.exec(line)?.[1] ?? 0);
  }
  return { cases: count, hasPassed: (await exited) === 0 };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
