// Runs a server from its start to the signal that ends it.
import type { Config } from "@muster/config";
import type { Logger } from "@muster/log";
import { readyBanner } from "./ready-banner.ts";
import { type RunningServer, serverDeps, startServer } from "./server.ts";

/** Parts of a drain after its delay: requests, streams and workers, each within the timeout. */
const DRAIN_TIMEOUTS_MAX = 3;
const DRAIN_MARGIN_MS = 5_000;

export async function runUntilStopped(config: Config): Promise<void> {
  const deps = serverDeps(config);
  const { clock, log } = deps;
  const stopping = new AbortController();
  const stopRequested = stopSignal(() => stopping.abort());
  process.on("uncaughtException", (error) => {
    log.error({ err: error }, "a defect ended this process");
    process.exit(1);
  });
  const server = await startServer(config, deps, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
    log.info({}, "stopped before it was ready");
    process.exit(0);
  });
  announce(config, server, log);
  const signal = await stopRequested;
  log.info({ signal }, "stopping");
  const limitMs = config.drainDelayMs + DRAIN_TIMEOUTS_MAX * config.drainTimeoutMs + DRAIN_MARGIN_MS;
  void clock.sleep(limitMs).then(() => {
    log.error({ limitMs }, "stopping took too long; what was under way is cut");
    process.exit(1);
  });
  await server.stop();
  log.info({}, "stopped");
  process.exit(0);
}

function announce(config: Config, server: RunningServer, log: Logger): void {
  const { httpPort, grpcPort } = server;
  log.info({ mode: config.mode, targets: config.targets, httpPort, grpcPort }, "ready");
  if (config.mode === "embedded") process.stdout.write(readyBanner(config, server));
}

/** The first signal requests a drain, the second ends the process. */
function stopSignal(onFirst: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      count += 1;
      if (count > 1) process.exit(130);
      onFirst();
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
