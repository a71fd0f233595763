// Starts processes that outlive the command, and finds them again by a file each.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface LaunchPlan {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly logPath: string;
}

const POLL_MS = 50;

export class ProcessFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** The id of the process, if it still runs. */
  pid(name: string): number | undefined {
    let kept: string;
    try {
      kept = readFileSync(this.#path(name), "utf8").trim();
    } catch {
      return undefined;
    }
    const pid = Number(kept.split(" ", 1)[0]);
    // Process ids are reused, so the start time identifies the process too.
    return kept === identity(pid) ? pid : undefined;
  }

  remember(name: string, pid: number): void {
    writeFileSync(this.#path(name), `${identity(pid) ?? pid}\n`);
  }

  /** Starts a process in a session of its own, so that it survives this shell; output goes to a log file. */
  launch(name: string, plan: LaunchPlan): number {
    const log = openSync(plan.logPath, "a");
    const child = spawn(plan.program, [...plan.args], {
      detached: true,
      env: plan.environment,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.unref();
    if (child.pid === undefined) throw new Error(`${name} cannot be started: ${plan.program}`);
    this.remember(name, child.pid);
    return child.pid;
  }

  /** Sends SIGTERM, then SIGKILL after a while, and resolves when the process has ended. */
  async stop(name: string, timeoutMs: number): Promise<void> {
    const pid = this.pid(name);
    if (pid !== undefined) {
      process.kill(pid, "SIGTERM");
      if (!(await this.#isGone(name, timeoutMs))) {
        process.kill(pid, "SIGKILL");
        await this.#isGone(name, timeoutMs);
      }
    }
    rmSync(this.#path(name), { force: true });
  }

  async #isGone(name: string, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (this.pid(name) !== undefined) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return true;
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.pid`);
  }
}

/** "pid start" of a running process; undefined for an ended process or a zombie. */
function identity(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    const [status = "", ...start] = line.split(/\s+/);
    return line === "" || status.startsWith("Z") ? undefined : `${pid} ${start.join(" ")}`;
  } catch {
    return undefined;
  }
}
