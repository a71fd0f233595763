// Starts the parts of `muster serve` in order and stops them.
import type { Config } from "@muster/config";
import { type Clock, type IdSource, randomIds, systemClock } from "@muster/core";
import { createLogger, type Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { drain, type Listener, Readiness, ThreadPool, WorkerGroup } from "@muster/runtime";
import { openPlatform } from "../platform/open-platform.ts";
import type { OpenPlatform } from "../platform/platform.ts";
import { servicesOf } from "../targets.ts";
import { buildServices } from "./build-services.ts";
import { clientLimiter } from "./client-limits.ts";
import { loadEventCatalog } from "./event-catalog.ts";
import { startGrpcListener } from "./grpc-listener.ts";
import { startHttpListener, startMetricsListener } from "./http-listener.ts";
import { ServiceDirectory } from "./service-directory.ts";

export interface RunningServer {
  readonly httpPort: number;
  /** Undefined where no service runs in this process. */
  readonly grpcPort: number | undefined;
  readonly platform: OpenPlatform;
  /** Finishes the work in flight and ends; never rejects. */
  stop(): Promise<void>;
}

export interface ServerDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
}

export function serverDeps(config: Config): ServerDeps {
  return { clock: systemClock, ids: randomIds, log: createLogger({ level: config.logLevel }) };
}

/** Resolves when the process is ready; rejects if `signal` aborts while it waits for a database. */
export async function startServer(
  config: Config,
  deps: ServerDeps,
  signal: AbortSignal,
): Promise<RunningServer> {
  const { clock, log } = deps;
  // First, because a mistake in the file must not wait for a database.
  const eventCatalog = await loadEventCatalog(config);
  const metrics = new Metrics();
  metrics.collectProcess();
  const platform = await openPlatform(config, deps);
  const threads = new ThreadPool({ clock, log, metrics });
  const readiness = new Readiness({ clock, databases: platform.databases });
  const listeners: Listener[] = [];
  let workers = new WorkerGroup({ workers: [], clock, log });
  const stop = (): Promise<void> =>
    drain({
      clock,
      log,
      readiness,
      listeners,
      workers,
      close: async () => {
        await threads.close();
        await platform.close();
      },
      delayMs: config.drainDelayMs,
      timeoutMs: config.drainTimeoutMs,
    });
  try {
    const local = servicesOf(config.targets);
    const directory = new ServiceDirectory({ local, remote: platform.remoteCaller });
    const limiter = clientLimiter(config);
    // First, so that probes respond while a database is awaited.
    const http = await startHttpListener({
      ...deps,
      config,
      platform,
      directory,
      readiness,
      metrics,
      limiter,
    });
    listeners.push(http);
    const metricsListener = await startMetricsListener(config, metrics);
    if (metricsListener !== undefined) listeners.push(metricsListener);
    await platform.untilUsable(signal);
    signal.throwIfAborted();
    const services = await buildServices({
      ...deps,
      config,
      eventCatalog,
      platform,
      directory,
      metrics,
      threads,
      limiter,
      httpPort: http.port,
    });
    workers = new WorkerGroup({ workers: services.workers, clock, log });
    await workers.start();
    const grpc = await startGrpcListener(config, services.dispatchers, deps);
    if (grpc !== undefined) listeners.push(grpc);
    readiness.started();
    return { httpPort: http.port, grpcPort: grpc?.port, platform, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
