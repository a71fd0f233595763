// Runs load for a fixed time and computes rates and latencies.
import { readdirSync, readFileSync } from "node:fs";
import { systemClock } from "@muster/core";

/** Clock ticks of Linux on the supported machines. */
const TICKS_PER_SECOND = 100;

export interface Latencies {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

export function latencies(samplesMs: readonly number[]): Latencies {
  const sorted = samplesMs.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
  return { p50_ms: at(0.5), p99_ms: at(0.99) };
}

export function round(number: number, digits = 2): number {
  return Number(number.toFixed(digits));
}

/**
 * Runs `once` in `lanes` parallel lanes for `durationMs`. Each call returns the amount of work done. Returns
 * the rate per second from the first start to the last end.
 */
export async function runFor(
  durationMs: number,
  lanes: number,
  once: (call: number) => Promise<number>,
): Promise<{ perSecond: number; total: number }> {
  const startMs = systemClock.monotonicMs();
  let calls = 0;
  let total = 0;
  const lane = async (): Promise<void> => {
    while (systemClock.monotonicMs() - startMs < durationMs) {
      calls += 1;
      const done = await once(calls - 1);
      total += done;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { perSecond: Math.round((1000 * total) / (systemClock.monotonicMs() - startMs)), total };
}

/** Resident memory of a process, in MiB (Linux). */
export function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return round(Number(line?.[1] ?? 0) / 1024, 1);
}

/** Processor seconds that a process has used (Linux). */
export function cpuSeconds(pid: number): number {
  // The name, in brackets, can contain any text; numbers follow.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The same in nanoseconds, without threads that have ended (Linux). */
export function cpuNanoseconds(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + threadNanoseconds(pid, thread), 0);
}

function threadNanoseconds(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  } catch {
    // The thread has ended since it was listed.
    return 0;
  }
}
