// Measures probes of the process and single posts of a tenant while the process is under load.
import { type ChildProcess, spawn } from "node:child_process";
import { systemClock } from "@muster/core";
import type { RestClient } from "../../harness/rest.ts";
import { round } from "../measure.ts";

const PAUSE_MS = 20;
/** A request without a response counts with this time. */
const TIMEOUT_MS = 30_000;

/** Sends request after request, with pauses. */
class Bystander {
  readonly name: string;
  readonly #send: (signal: AbortSignal) => Promise<boolean>;
  #samplesMs: number[] = [];
  #failed = 0;

  constructor(name: string, send: (signal: AbortSignal) => Promise<boolean>) {
    this.name = name;
    this.#send = send;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#samplesMs = [];
    this.#failed = 0;
    while (!signal.aborted) {
      const startMs = systemClock.monotonicMs();
      const isGood = await this.#send(AbortSignal.timeout(TIMEOUT_MS)).catch(() => false);
      if (!isGood) this.#failed += 1;
      this.#samplesMs.push(systemClock.monotonicMs() - startMs);
      await systemClock.sleep(PAUSE_MS);
    }
  }

  figures(): Record<string, number> {
    const sorted = this.#samplesMs.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN, 0);
    return {
      [`${this.name}_p50_ms`]: at(0.5),
      [`${this.name}_p99_ms`]: at(0.99),
      [`${this.name}_max_ms`]: at(1),
      ...(this.#failed > 0 && { [`${this.name}_failed`]: this.#failed }),
    };
  }
}

const IDLE_SERVER = `const server = require("node:http").createServer((_, response) => response.end());
server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;

export class Bystanders {
  readonly #all: readonly Bystander[];
  readonly #idle: ChildProcess;
  #sent = 0;

  /** Starts an idle process beside. Its latencies show how busy the machine is, whatever Muster does. */
  static async start(url: string, other: RestClient): Promise<Bystanders> {
    const idle = spawn(process.execPath, ["-e", IDLE_SERVER], { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise<number>((resolve) =>
      idle.stdout.once("data", (line: Buffer) => resolve(Number(line.toString()))),
    );
    return new Bystanders(url, other, idle, port);
  }

  private constructor(url: string, other: RestClient, idle: ChildProcess, idlePort: number) {
    this.#idle = idle;
    this.#all = [
      new Bystander(
        "idle_process",
        async (signal) => (await fetch(`http://127.0.0.1:${idlePort}`, { signal })).ok,
      ),
      new Bystander("livez", async (signal) => (await fetch(`${url}/livez`, { signal })).ok),
      new Bystander("post", async () => {
        this.#sent += 1;
        const event = { user_id: `user-${this.#sent % 100}`, name: "page.viewed" };
        return (await other.post("/v1/events", event)).status === 201;
      }),
    ];
  }

  stop(): void {
    this.#idle.kill();
  }

  /** Runs the bystanders during `work`, and returns their latencies. */
  async during(work: () => Promise<void>): Promise<Record<string, number>> {
    const end = new AbortController();
    const running = this.#all.map((one) => one.run(end.signal));
    await work().finally(() => end.abort());
    await Promise.all(running);
    return Object.assign({}, ...this.#all.map((one) => one.figures()));
  }
}
