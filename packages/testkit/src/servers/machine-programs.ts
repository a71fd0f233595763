// Finds programs on this machine, and installs a missing server where that is allowed.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

// Servers live outside the PATH of an ordinary user.
const SERVER_FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/libexec",
  "/usr/local/bin",
  "/opt/homebrew/bin",
  "/opt/homebrew/opt/mariadb/bin",
];
const INSTALL_TIMEOUT_MS = 300_000;

/** Full path of the first existing program among `names`. */
export function findProgram(...names: readonly string[]): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SERVER_FOLDERS];
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      if (folder !== "" && isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a Docker daemon responds. */
export async function hasDocker(): Promise<boolean> {
  if (findProgram("docker") === undefined) return false;
  return (await run("docker", ["info"], 10_000)).isSuccess;
}

/** apt-get refuses to run twice at once, and both servers may be missing. */
let installing: Promise<unknown> = Promise.resolve();

/** Installs a Debian package; false where the machine or the user does not allow it. */
export function installDebianPackage(name: string): Promise<boolean> {
  const installed = installing.then(() => install(name));
  installing = installed;
  return installed;
}

async function install(name: string): Promise<boolean> {
  const apt = findProgram("apt-get");
  if (process.getuid?.() !== 0 || apt === undefined || !existsSync("/etc/debian_version")) return false;
  const patient = ["-o", "DPkg::Lock::Timeout=120"];
  const wanted = [...patient, "install", "-y", "--no-install-recommends", name];
  if ((await run(apt, wanted, INSTALL_TIMEOUT_MS)).isSuccess) return true;
  await run(apt, [...patient, "update"], INSTALL_TIMEOUT_MS);
  return (await run(apt, wanted, INSTALL_TIMEOUT_MS)).isSuccess;
}

export interface RunResult {
  readonly isSuccess: boolean;
  /** Last part of standard output and error. */
  readonly output: string;
}

const OUTPUT_LENGTH_MAX = 4000;

/** Runs a program until it ends. */
export function run(program: string, args: readonly string[], timeoutMs: number): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString("utf8")).slice(-OUTPUT_LENGTH_MAX);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve({ isSuccess: false, output: error.message }));
    child.on("close", (code) => resolve({ isSuccess: code === 0, output }));
  });
}
