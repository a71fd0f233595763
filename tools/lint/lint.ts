// Runs every check that needs no server (`make lint`), side by side, and prints the findings.
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { runProcess } from "../run-process.ts";
import { checkDecisionPage } from "./decision-pages.ts";
import { checkDocument } from "./documents.ts";
import { checkFolderCycles, isFolderCycleSource } from "./folder-cycles.ts";
import { checkFolderSizes } from "./folder-sizes.ts";
import { checkGeneratedCode } from "./generated-code.ts";
import { checkImports } from "./import-rules.ts";
import { checkPackageExports, isPackageManifest } from "./package-exports.ts";
import { checkProse } from "./prose.ts";
import { checkProtoBaseline } from "./proto-baseline.ts";
import { checkSecrets } from "./secrets.ts";
import { type Finding, isGenerated, readSourceFiles } from "./source-files.ts";
import { checkSourceFile } from "./source-rules.ts";
import { checkTestSuffixes } from "./test-suffixes.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Check {
  readonly name: string;
  /** What it found; empty when all is well. */
  readonly run: () => Promise<string>;
}

const checks: readonly Check[] = [
  program("format and style", "biome", ["check", "--diagnostic-level=warn", "."]),
  program("types", "tsc", ["--noEmit", "--project", "."]),
  program("dead exports", "knip", ["--no-progress", "--no-config-hints"]),
  program("proto lint", "buf", ["lint"]),
  program("proto format", "buf", ["format", "--diff", "--exit-code", "proto"]),
  { name: "proto breaking", run: async () => print(await checkProtoBaseline(ROOT)) },
  { name: "generated code", run: async () => print(await checkGeneratedCode(ROOT)) },
  { name: "import rules", run: importRules },
  { name: "folder cycles", run: async () => print(folderCycles()) },
  { name: "package exports", run: async () => print(packageExports()) },
  { name: "source rules", run: async () => print(sourceRules()) },
  { name: "folder sizes", run: async () => print(folderSizes()) },
  { name: "test suffixes", run: async () => print(testSuffixes()) },
  { name: "secrets", run: async () => print(await secrets()) },
  { name: "documents", run: async () => print(documents()) },
  { name: "prose", run: async () => print(checkProse(ROOT)) },
];

function program(name: string, command: string, parameters: readonly string[]): Check {
  return {
    name,
    run: async () => {
      const path = join(ROOT, "node_modules/.bin", command);
      const { code, output } = await runProcess(path, parameters, { cwd: ROOT });
      return code === 0 ? "" : output;
    },
  };
}

async function importRules(): Promise<string> {
  const { violations, dependencyCount } = await checkImports(ROOT);
  if (dependencyCount === 0) return "dependency-cruiser read nothing\n";
  return violations.map(({ rule, from, to }) => `${from}: ${rule}: must not import ${to}\n`).join("");
}

function folderCycles(): Finding[] {
  return checkFolderCycles(readSourceFiles(ROOT, isFolderCycleSource));
}

function packageExports(): Finding[] {
  return readSourceFiles(ROOT, isPackageManifest).flatMap(checkPackageExports);
}

function sourceRules(): Finding[] {
  const readable = /(\.(ts|js|sh|proto|yaml|yml)|^Makefile|\/Dockerfile)$/;
  const files = readSourceFiles(ROOT, (path) => readable.test(path) && !isGenerated(path));
  return files.flatMap(checkSourceFile);
}

function folderSizes(): Finding[] {
  return checkFolderSizes(readSourceFiles(ROOT, () => true).map(({ path }) => path));
}

function testSuffixes(): Finding[] {
  return checkTestSuffixes(readSourceFiles(ROOT, (path) => path.endsWith(".ts") && !isGenerated(path)));
}

async function secrets(): Promise<Finding[]> {
  // Lock files and binary files hold digests only.
  const files = readSourceFiles(ROOT, (path) => !/(package-lock\.json|\.binpb|\.png)$/.test(path));
  return (await Promise.all(files.map(checkSecrets))).flat();
}

function documents(): Finding[] {
  const files = readSourceFiles(ROOT, (path) => path.endsWith(".md") && !isGenerated(path));
  return files.flatMap((file) => [...checkDocument(ROOT, file), ...checkDecisionPage(file)]);
}

/** Warnings are printed on the way and do not fail. */
function print(findings: readonly Finding[]): string {
  const lines = (some: readonly Finding[]): string =>
    some.map(({ path, line, message }) => `${path}:${line}: ${message}\n`).join("");
  process.stdout.write(lines(findings.filter(({ warning }) => warning === true)));
  return lines(findings.filter(({ warning }) => warning !== true));
}

async function main(only: readonly string[]): Promise<void> {
  const chosen = checks.filter(({ name }) => only.length === 0 || only.includes(name));
  if (chosen.length === 0)
    throw new Error(`no such check; there are: ${checks.map((c) => c.name).join(", ")}`);
  const waiting = [...chosen];
  const failed: string[] = [];
  const work = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const startMs = performance.now();
      const found = await check.run().catch((error: unknown) => String(error));
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      process.stdout.write(`${found === "" ? "ok    " : "FAILED"} ${check.name} (${seconds} s)\n${found}`);
      if (found !== "") failed.push(check.name);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  process.stdout.write(
    failed.length === 0 ? `lint: ${chosen.length} checks passed\n` : `lint: failed: ${failed.join(", ")}\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

await main(process.argv.slice(2));
