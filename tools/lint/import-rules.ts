// Runs dependency-cruiser with Muster's rules in any folder laid out like the repository.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

export interface ImportViolation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

export interface ImportReport {
  readonly violations: ImportViolation[];
  /** Distinguishes a run that could not read the sources from a run without violations. */
  readonly dependencyCount: number;
}

interface CruiseOutput {
  readonly summary: {
    readonly violations: readonly { from: string; to: string; rule: { name: string } }[];
    readonly totalDependenciesCruised: number;
  };
}

export async function checkImports(folder: string): Promise<ImportReport> {
  const roots = ["packages", "services", "apps"].filter((root) => existsSync(join(folder, root)));
  const text = await cruise(folder, [
    join(ROOT, "node_modules/.bin/depcruise"),
    "--config",
    join(ROOT, "tools/lint/dependency-rules.js"),
    "--output-type",
    "json",
    ...roots,
  ]);
  const { summary } = JSON.parse(text) as CruiseOutput;
  return {
    violations: summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to })),
    dependencyCount: summary.totalDependenciesCruised,
  };
}

function cruise(folder: string, parameters: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const options = { cwd: folder, maxBuffer: 256 * 1024 * 1024 };
    // The exit code counts violations; the printed report has the details.
    execFile(process.execPath, [...parameters], options, (error, stdout, stderr) => {
      if (stdout.startsWith("{")) done(stdout);
      else fail(new Error(`dependency-cruiser gave no report: ${stderr}${stdout}`, { cause: error }));
    });
  });
}
