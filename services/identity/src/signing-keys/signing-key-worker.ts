// Makes the first signing key when identity starts, and a successor when a key is old.
import type { Logger } from "@muster/log";
import { ensureSigningKey, type SigningKeyDeps } from "./rotate-signing-key.ts";

const CHECK_MS = 60_000;

/** Several instances at once are harmless. */
export class SigningKeyWorker {
  readonly name = "signing-key-worker";
  readonly #deps: SigningKeyDeps;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #isFailing = false;

  constructor(deps: SigningKeyDeps, log: Logger) {
    this.#deps = deps;
    this.#log = log;
  }

  /** Resolves after the first check, so that a process that serves has a key. */
  async start(): Promise<void> {
    await this.#check();
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(CHECK_MS, signal);
      if (!signal.aborted) await this.#check();
    }
  }

  async #check(): Promise<void> {
    try {
      await ensureSigningKey(this.#deps);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#log.warn({ err: error }, "the signing keys cannot be checked");
      this.#isFailing = true;
    }
  }
}
