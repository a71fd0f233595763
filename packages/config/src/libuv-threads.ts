// Reads the number of threads on which Node runs its own work: files, DNS, and native modules.
import type { Environment } from "./load-config.ts";

const DEFAULT = 4;
/** The limit of libuv. */
const MAX = 1024;

export function libuvThreads(environment: Environment = process.env): number {
  const size = Number(environment.UV_THREADPOOL_SIZE ?? DEFAULT);
  return Number.isInteger(size) && size > 0 ? Math.min(size, MAX) : DEFAULT;
}
