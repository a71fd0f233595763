// Shows how far an import is: a bar on a terminal, a line now and then elsewhere.
import { type Clock, systemClock } from "@muster/core";
import { SingleBar } from "cli-progress";

export interface Progress {
  /** Bytes of the file that are done, and events so far. */
  update(bytes: number, events: number): void;
  stop(): void;
}

export function showProgress(
  totalBytes: number,
  out: NodeJS.WriteStream,
  clock: Clock = systemClock,
): Progress {
  const startMs = clock.monotonicMs();
  const rate = (events: number): string => {
    const seconds = Math.max(0.001, (clock.monotonicMs() - startMs) / 1000);
    return `${Math.round(events / seconds).toLocaleString("en-GB")}/s`;
  };
  return out.isTTY ? bar(totalBytes, out, rate) : lines(totalBytes, out, clock, rate);
}

function bar(totalBytes: number, out: NodeJS.WriteStream, rate: (events: number) => string): Progress {
  const single = new SingleBar({
    stream: out,
    format: "{bar} {percentage}%  {events} events  {rate}  ETA {eta_formatted}",
    etaBuffer: 50,
    hideCursor: true,
  });
  single.start(totalBytes, 0, { events: "0", rate: "-" });
  return {
    update: (bytes, events) =>
      single.update(bytes, { events: events.toLocaleString("en-GB"), rate: rate(events) }),
    stop: () => single.stop(),
  };
}

const LINE_EVERY_MS = 5_000;

function lines(
  totalBytes: number,
  out: NodeJS.WriteStream,
  clock: Clock,
  rate: (events: number) => string,
): Progress {
  let lastMs = clock.monotonicMs();
  return {
    update: (bytes, events) => {
      const nowMs = clock.monotonicMs();
      if (nowMs - lastMs < LINE_EVERY_MS) return;
      lastMs = nowMs;
      const percent = Math.floor((100 * bytes) / Math.max(1, totalBytes));
      out.write(`${percent}%  ${events.toLocaleString("en-GB")} events  ${rate(events)}\n`);
    },
    stop: () => {},
  };
}
