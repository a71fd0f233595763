// Writes one JSON line per request, delivery or incident. No other code writes logs.
import { type Logger as PinoLogger, pino } from "pino";
import { loggable } from "./loggable.ts";

/**
 * Levels: error pages somebody on call; warn deserves attention within a day; info is the normal record;
 * debug is off.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

/**
 * Never a secret, never a body; messages only as returned by `redact` of packages/privacy. `err` holds an
 * Error.
 */
export type LogFields = Readonly<Record<string, unknown>>;

export function createLogger(options: {
  readonly level: string;
  readonly destination?: NodeJS.WritableStream;
}): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    // Errors arrive described; pino's own serializer would add their other properties.
    serializers: { err: (described: unknown) => described },
  };
  const writer: PinoLogger =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  return new GuardedLogger(writer);
}

type Level = "error" | "warn" | "info" | "debug";

/** Passes every field through {@link loggable} before the writer receives it. */
class GuardedLogger implements Logger {
  readonly #writer: PinoLogger;

  constructor(writer: PinoLogger) {
    this.#writer = writer;
  }

  error(fields: LogFields, message: string): void {
    this.#write("error", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#write("warn", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#write("info", fields, message);
  }

  debug(fields: LogFields, message: string): void {
    this.#write("debug", fields, message);
  }

  child(fields: LogFields): Logger {
    return new GuardedLogger(this.#writer.child(loggable(fields) as object));
  }

  #write(level: Level, fields: LogFields, message: string): void {
    if (this.#writer.isLevelEnabled(level)) this.#writer[level](loggable(fields), message);
  }
}
