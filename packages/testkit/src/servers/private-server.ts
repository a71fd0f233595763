// Runs a server process that can be started, killed and started again on the same data and port.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Command and readiness check of a server. */
export interface ServerPlan {
  readonly name: string;
  readonly folder: string;
  readonly url: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Whether the server serves; rejections mean not yet. */
  isReady(): Promise<boolean>;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
const STOP_TIMEOUT_MS = 10_000;

export class PrivateServer {
  readonly plan: ServerPlan;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(plan: ServerPlan) {
    this.plan = plan;
  }

  get url(): string {
    return this.plan.url;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves once the server responds. `isDetached`: the server outlives this process. */
  async start(options: { readonly isDetached?: boolean } = {}): Promise<void> {
    const { program, args, folder, name } = this.plan;
    const logPath = join(folder, `${name}.log`);
    const log = openSync(logPath, "a");
    const child = spawn(program, args, {
      stdio: ["ignore", log, log],
      detached: options.isDetached === true,
    });
    closeSync(log);
    this.#child = child;
    let failure: string | undefined;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => {
        failure = error.message;
        resolve();
      });
      child.once("exit", (code, signal) => {
        failure = `it ended with ${signal ?? code}`;
        this.#child = undefined;
        resolve();
      });
    });
    if (options.isDetached === true) child.unref();
    const deadlineMs = performance.now() + READY_TIMEOUT_MS;
    while (!(await this.plan.isReady().catch(() => false))) {
      if (failure === undefined && performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      await this.kill();
      const tail = (await readFile(logPath, "utf8").catch(() => "")).slice(-2000);
      throw new Error(`${name} does not start: ${failure ?? "no response in time"}\n${tail}`);
    }
  }

  /** Sends SIGTERM, then SIGKILL after a while. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Ends the server as a power failure would, without a flush. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#exited;
  }
}
