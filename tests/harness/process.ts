// One `muster` process under test: started, watched until ready, killed at will.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { systemClock } from "@muster/core";

const MAIN = fileURLToPath(new URL("../../apps/muster/src/main.ts", import.meta.url));
const READY_MS_MAX = 60_000;

/** A TCP port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** The environment of a child: ours without any MUSTER_ variable, and these. */
function environment(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("MUSTER_"));
  return { ...Object.fromEntries(inherited), ...variables };
}

/** Runs a command of the CLI to its end. */
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
  /** What the process wrote, of all its lives. */
  readonly logPath: string;
  #child: ChildProcess | undefined;

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

  /** Of a process that ended by itself. */
  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts the process without waiting for it to be ready. */
  spawn(): void {
    const log = createWriteStream(this.logPath, { flags: "a" });
    const child = spawn(process.execPath, [MAIN, ...this.#args], {
      env: environment(this.#variables),
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#child = child;
  }

  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** Resolves when /readyz answers 200. */
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
    throw new Error(`muster ${this.#args.join(" ")} did not get ready; see ${this.logPath}`);
  }

  /** Ends the process by the signal and waits until it is gone. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}
