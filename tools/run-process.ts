// Runs another program and keeps what it printed, for tools that show it only when it failed.
import { spawn } from "node:child_process";

export interface ProcessOutcome {
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

export function runProcess(
  command: string,
  parameters: readonly string[],
  options: { readonly cwd: string; readonly environment?: NodeJS.ProcessEnv },
): Promise<ProcessOutcome> {
  return new Promise((done, fail) => {
    const child = spawn(command, [...parameters], {
      cwd: options.cwd,
      env: options.environment ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", fail);
    child.once("close", (code) => done({ code: code ?? 1, output: Buffer.concat(chunks).toString("utf8") }));
  });
}
