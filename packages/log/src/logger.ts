// One JSON line per request, delivery or incident. The only place that writes logs.
import { type Logger as PinoLogger, pino } from "pino";

/** Levels: error wakes a person; warn is worth a look today; info is the normal record; debug is off. */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

/** Never a secret, never a body. `err` holds an Error. */
export type LogFields = Readonly<Record<string, unknown>>;

export function createLogger(options: {
  readonly level: string;
  readonly destination?: NodeJS.WritableStream;
}): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  const logger: PinoLogger =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination);
  return logger;
}
