// Logs a lasting failure at the beginning and at the end only.
import type { LogFields, Logger } from "./logger.ts";

export interface FailureMessages {
  /** Written at the first failure. */
  readonly failed: string;
  /** Written at the first success after failures; undefined to leave the end out. */
  readonly recovered?: string;
  /** Level of the first line (default: "warn"); the last line has the level "info". */
  readonly level?: "warn" | "error";
}

/** The failures of one repeated task. */
export class FailureLog {
  readonly #log: Logger;
  readonly #messages: FailureMessages;
  #isFailing = false;

  constructor(log: Logger, messages: FailureMessages) {
    this.#log = log;
    this.#messages = messages;
  }

  /** The task has failed. */
  failed(error: unknown, fields: LogFields = {}): void {
    const { failed, level = "warn" } = this.#messages;
    if (!this.#isFailing) this.#log[level]({ err: error, ...fields }, failed);
    this.#isFailing = true;
  }

  /** The task has succeeded. */
  succeeded(fields: LogFields = {}): void {
    const { recovered } = this.#messages;
    if (this.#isFailing && recovered !== undefined) this.#log.info(fields, recovered);
    this.#isFailing = false;
  }
}
