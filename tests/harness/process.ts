// Runs a `muster` process under test: start, wait until ready, kill on demand.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { fileURLToPath } from "node:url";
import { systemClock } from "@muster/core";

const MAIN = fileURLToPath(new URL("../../apps/muster/src/main.ts", import.meta.url));
const READY_MS_MAX = 120_000;
const OUTPUT_CHARACTERS_SHOWN = 2_000;

/** The environment of a child: the current one without any MUSTER_ variable, plus the given variables. */
function environment(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MUSTER_"));
  return { ...Object.fromEntries(inherited), ...variables };
}

/** Runs a command of the CLI to the end. */
export async function runMuster(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  input?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment(variables) });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.end(input ?? "");
  const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
  return { code, stdout, stderr };
}

export class MusterProcess {
  readonly #args: readonly string[];
  readonly #variables: Readonly<Record<string, string>>;
  readonly #healthUrl: string;
  /** Output of the process over all its starts. */
  readonly logPath: string;
  #child: ChildProcess | undefined;
  #lastOutput = "";

  constructor(options: {
    readonly args: readonly string[];
    readonly variables: Readonly<Record<string, string>>;
    readonly healthUrl: string;
    readonly logPath: string;
  }) {
    this.#args = options.args;
    this.#variables = options.variables;
    this.#healthUrl = options.healthUrl;
    this.logPath = options.logPath;
  }

  /** Exit code of a process that ended without a signal of the test. */
  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts the process without waiting until it is ready. */
  spawn(): void {
    const log = createWriteStream(this.logPath, { flags: "a" });
    const child = spawn(process.execPath, [MAIN, ...this.#args], {
      env: environment(this.#variables),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const output of [child.stdout, child.stderr]) {
      output.pipe(log, { end: false });
      output.on("data", (chunk: Buffer) => {
        this.#lastOutput = (this.#lastOutput + chunk.toString()).slice(-OUTPUT_CHARACTERS_SHOWN);
      });
    }
    this.#child = child;
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** Resolves when /readyz returns 200. */
  async ready(): Promise<void> {
    const deadline = systemClock.monotonicMs() + READY_MS_MAX;
    while (systemClock.monotonicMs() < deadline) {
      if (this.#child?.exitCode !== null) break;
      const ready = await fetch(`${this.#healthUrl}/readyz`).then(
        (response) => response.status === 200,
        () => false,
      );
      if (ready) return;
      await systemClock.sleep(50);
    }
    const state = this.#child?.exitCode == null ? "is still running" : `ended with ${this.#child.exitCode}`;
    throw new Error(
      `muster ${this.#args.join(" ")} did not get ready and ${state}; its last output:\n${this.#lastOutput}`,
    );
  }

  /** Sends a signal that does not end the process. */
  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(name);
  }

  /** Sends the signal and waits until the process has ended. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}
