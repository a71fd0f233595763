// Logs lasting failures in few lines: the beginning, a count from time to time, and the end.
import { type Clock, systemClock } from "@muster/core";
import type { LogFields, Logger } from "./logger.ts";

/** Shortest time between two lines of a failure that lasts. */
const REPORT_MS = 60_000;

export interface FailureMessages {
  /** Written at the first failure, and with the number of further failures at most once a minute. */
  readonly failed: string;
  /** Written at the first success after failures; undefined to leave the end out. */
  readonly recovered?: string;
  /** Level of the lines of failures (default: "warn"); the last line has the level "info". */
  readonly level?: "warn" | "error";
}

/** The failures of one repeated task. */
export class FailureLog {
  readonly #log: Logger;
  readonly #messages: FailureMessages;
  readonly #clock: Clock;
  #episode: Episode | undefined;

  constructor(log: Logger, messages: FailureMessages, clock: Clock = systemClock) {
    this.#log = log;
    this.#messages = messages;
    this.#clock = clock;
  }

  /** The task has failed. */
  failed(error: unknown, fields: LogFields = {}): void {
    const { failed, level = "warn" } = this.#messages;
    const nowMs = this.#clock.monotonicMs();
    if (this.#episode === undefined) {
      this.#episode = new Episode(nowMs);
      this.#log[level]({ err: error, ...fields }, failed);
      return;
    }
    const failures = this.#episode.add(nowMs);
    if (failures !== undefined) this.#log[level]({ err: error, ...fields, failures }, failed);
  }

  /** The task has succeeded. */
  succeeded(fields: LogFields = {}): void {
    const { recovered } = this.#messages;
    if (this.#episode === undefined) return;
    const { failures } = this.#episode;
    this.#episode = undefined;
    if (recovered !== undefined) this.#log.info({ ...fields, failures }, recovered);
  }
}

export interface OutageMessages {
  readonly failed: string;
  readonly ended: string;
  readonly level: "warn" | "error";
  /** Failures of each kind at the beginning of an outage that are logged whole (default: 1). */
  readonly wholeLines?: number;
}

/** An outage has ended when no call failed for so long. */
const QUIET_MS = 30_000;
/** Most kinds of failures at a time; further kinds share an episode. */
const KINDS_MAX = 500;
const OTHER_KINDS = "other";

/**
 * The failures of many calls, which may fail and succeed at the same time. Each kind of failure has a line at the
 * beginning of an outage, a count at most once a minute, and a line at the end.
 */
export class OutageLog {
  readonly #log: Logger;
  readonly #messages: OutageMessages;
  readonly #clock: Clock;
  readonly #episodes = new Map<string, Episode>();

  constructor(log: Logger, messages: OutageMessages, clock: Clock) {
    this.#log = log;
    this.#messages = messages;
    this.#clock = clock;
  }

  /** A call has failed. `kind` has few different values; see kindOfError. */
  failed(kind: string, error: unknown, fields: LogFields = {}): void {
    this.checkEnds();
    const { failed, level, wholeLines = 1 } = this.#messages;
    const nowMs = this.#clock.monotonicMs();
    const isKnown = this.#episodes.has(kind) || this.#episodes.size < KINDS_MAX;
    const key = isKnown ? kind : OTHER_KINDS;
    const episode = this.#episodes.get(key);
    if (episode === undefined) {
      this.#episodes.set(key, new Episode(nowMs));
      this.#log[level]({ ...fields, err: error }, failed);
      return;
    }
    const failures = episode.add(nowMs);
    if (episode.failures <= wholeLines) this.#log[level]({ ...fields, err: error }, failed);
    else if (failures !== undefined) this.#log[level]({ ...fields, kind: key, failures }, failed);
  }

  /** Logs the ends of outages. Called by every call, so it costs nothing without an outage. */
  checkEnds(): void {
    if (this.#episodes.size === 0) return;
    const nowMs = this.#clock.monotonicMs();
    for (const [kind, episode] of this.#episodes) {
      if (nowMs - episode.lastMs < QUIET_MS) continue;
      this.#episodes.delete(kind);
      const seconds = Math.round((episode.lastMs - episode.startMs) / 1000);
      this.#log.info({ kind, failures: episode.failures, seconds }, this.#messages.ended);
    }
  }
}

/** Consecutive failures. */
class Episode {
  readonly startMs: number;
  lastMs: number;
  failures = 1;
  #unreported = 0;
  #reportedMs: number;

  constructor(nowMs: number) {
    this.startMs = nowMs;
    this.lastMs = nowMs;
    this.#reportedMs = nowMs;
  }

  /** Counts a failure. Returns the failures since the last line if a line is due. */
  add(nowMs: number): number | undefined {
    this.failures += 1;
    this.#unreported += 1;
    this.lastMs = nowMs;
    if (nowMs - this.#reportedMs < REPORT_MS) return undefined;
    const count = this.#unreported;
    this.#unreported = 0;
    this.#reportedMs = nowMs;
    return count;
  }
}
