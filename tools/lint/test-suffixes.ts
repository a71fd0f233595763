// Checks the suffixes of test files: a test that opens a database or starts a server is named for it, so that
// `make test-unit` needs neither.
import { dirname, join, normalize } from "node:path";
import type { Finding, SourceFile } from "./source-files.ts";

/** Suffixes of tests that may open a database, connect to a broker or start an installation. */
const SERVER_SUFFIX = /\.(service|contract|e2e|fault|interop)\.test\.ts$/;
/** Files of the testkit that start or reach a database server or a broker. */
const SERVER_FILES = /^packages\/testkit\/src\/(servers\/|test-database\.ts$)/;
/** Exports of the testkit from those files. */
const SERVER_NAMES = new Set([
  ...["ENGINES", "findInStreams", "openTestDatabase", "removeStreams"],
  ...["startMysqlServer", "startNatsServer", "startServers", "testMysqlUrl", "testNatsUrl"],
]);
const MODULE_HARNESS = "@muster/testkit/module";
const HARNESS_NAMES = new Set(["ModuleUnderTest", "startModule", "startParts"]);
/** Helpers of tests: never part of a service. */
const HELPER = /(^|\/)(tests|testing)\//;
const IMPORT = /^import\s+(type\s+)?(?:[\w$]+\s*,?\s*)?(?:\{([^}]*)\})?\s*(?:from\s+)?["']([^"']+)["']/gm;

interface Import {
  readonly names: readonly string[];
  readonly from: string;
}

/** `files` holds the tests and the helpers that they import. */
export function checkTestSuffixes(files: readonly SourceFile[]): Finding[] {
  const importsOf = new Map(files.map(({ path, text }) => [path, readImports(text)]));
  const findings: Finding[] = [];
  for (const { path } of files) {
    if (!path.endsWith(".test.ts") || SERVER_SUFFIX.test(path)) continue;
    const reason = serverOf(path, importsOf, new Set());
    if (reason === undefined) continue;
    const message = `needs a server by its import of ${reason}: name it *.service.test.ts or *.contract.test.ts`;
    findings.push({ path, line: 1, message });
  }
  return findings;
}

/** The first import by which the file needs a server, followed through helpers. */
function serverOf(
  path: string,
  importsOf: ReadonlyMap<string, readonly Import[]>,
  visited: Set<string>,
): string | undefined {
  if (visited.has(path)) return undefined;
  visited.add(path);
  for (const { names, from } of importsOf.get(path) ?? []) {
    const known =
      from === "@muster/testkit" ? SERVER_NAMES : from === MODULE_HARNESS ? HARNESS_NAMES : undefined;
    const named = names.find((name) => known?.has(name));
    if (named !== undefined) return named;
    if (!from.startsWith(".")) continue;
    const target = normalize(join(dirname(path), from));
    if (SERVER_FILES.test(target)) return target;
    if (HELPER.test(target) && serverOf(target, importsOf, visited) !== undefined) return target;
  }
  return undefined;
}

function readImports(text: string): Import[] {
  return [...text.matchAll(IMPORT)].flatMap(([, isType, list = "", from = ""]) => {
    if (isType !== undefined) return [];
    const names = list
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type "))
      .map((name) => name.replace(/\s+as\s.*$/s, ""));
    // Without a name only types are imported, and nothing is loaded.
    return list.trim() !== "" && names.length === 0 ? [] : [{ names, from }];
  });
}
