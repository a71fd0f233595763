// Logs a line and records an observation for each request. Paths appear as templates, because a path may name
// a person.
import type { Clock } from "@muster/core";
import type { AppError } from "@muster/errors";
import { kindOfError, type LogFields, type Logger, OutageLog } from "@muster/log";
import type { Metrics } from "@muster/metrics";

export interface CompletedRequest {
  readonly requestId: string;
  readonly method: string;
  /** The path's template, or undefined where no route was found. */
  readonly route: string | undefined;
  readonly status: number;
  readonly error?: AppError | undefined;
}

const KNOWN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export class AccessLog {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #defects: OutageLog;
  readonly #outages: OutageLog;
  readonly #durations;

  constructor(deps: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    const defect = { failed: "request failed", ended: "requests no longer fail", level: "error" } as const;
    this.#defects = new OutageLog(deps.log, defect, deps.clock);
    const outage = {
      failed: "a service does not respond",
      ended: "the service responds again",
      level: "warn",
    } as const;
    this.#outages = new OutageLog(deps.log, outage, deps.clock);
    this.#durations = deps.metrics.histogram(
      "muster_http_request_duration_seconds",
      "Duration of an HTTP request.",
      ["method", "route", "status"],
    );
  }

  /** Call the returned function once the response is written. */
  begin(): (completed: CompletedRequest) => void {
    const startMs = this.#clock.monotonicMs();
    return ({ requestId, method, route, status, error }) => {
      const durationMs = this.#clock.monotonicMs() - startMs;
      const known = KNOWN_METHODS.has(method) ? method : "other";
      this.#durations.observe(
        { method: known, route: route ?? "none", status: String(status) },
        durationMs / 1000,
      );
      const fields = {
        request_id: requestId,
        http_method: known,
        route,
        status,
        reason: error?.reason,
        duration_ms: Math.round(durationMs * 1000) / 1000,
      };
      this.#logFailure(fields, error);
      this.#log.info(fields, "request");
    };
  }

  /** Services log their own failures. An error with a cause is a defect of the gateway, or an absent service. */
  #logFailure(fields: LogFields, error: AppError | undefined): void {
    if (error?.cause === undefined || error.row.http < 500) {
      this.#defects.checkEnds();
      this.#outages.checkEnds();
      return;
    }
    const log = error.reason === "INTERNAL" ? this.#defects : this.#outages;
    log.failed(kindOfError(error.cause), error.cause, fields);
  }
}
