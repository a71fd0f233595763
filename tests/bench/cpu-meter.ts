// Measures processor time by process, which is more reliable than rates on a shared machine.
import { readFileSync } from "node:fs";
import { round } from "./measure.ts";

/** Linux counts processor time in hundredths of a second. */
const TICK_MICROSECONDS = 10_000;

export class CpuMeter {
  readonly #processes: ReadonlyMap<string, number>;

  /** Process ids by name. */
  constructor(processes: ReadonlyMap<string, number>) {
    this.#processes = processes;
  }

  /** Runs `part` and returns the processor time of each process per event. */
  async during<Result>(
    part: () => Promise<Result>,
    eventsOf: (result: Result) => number,
  ): Promise<{ readonly result: Result; readonly cpu: { readonly "cpu µs/event": string } }> {
    const before = this.#spent();
    const result = await part();
    const after = this.#spent();
    const shares = [...after].map(([name, microseconds]) => {
      const perEvent = (microseconds - (before.get(name) ?? 0)) / eventsOf(result);
      return `${name} ${round(perEvent, perEvent < 10 ? 1 : 0)}`;
    });
    return { result, cpu: { "cpu µs/event": shares.join(", ") } };
  }

  #spent(): Map<string, number> {
    return new Map([...this.#processes].map(([name, pid]) => [name, cpuMicroseconds(pid)]));
  }
}

/** User and system time of all threads of a process (Linux). */
function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field, the program name, can contain spaces; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
}
