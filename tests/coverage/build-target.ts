// Builds the services of a target as `muster serve --target=…` does, and reads their workers and metrics.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig, type Target } from "@muster/config";
import { randomIds, systemClock } from "@muster/core";
import type { Database } from "@muster/db";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { MemoryRateLimiter } from "@muster/rate-limits";
import { Readiness, type ServiceName, ThreadPool, type Worker } from "@muster/runtime";
import { openPlatform } from "../../apps/muster/src/platform/open-platform.ts";
import type { OpenPlatform } from "../../apps/muster/src/platform/platform.ts";
import { buildServices } from "../../apps/muster/src/server/build-services.ts";
import { startHttpListener } from "../../apps/muster/src/server/http-listener.ts";
import { ServiceDirectory } from "../../apps/muster/src/server/service-directory.ts";

const deps = { clock: systemClock, ids: randomIds, log: createLogger({ level: "silent" }) };

export interface RegisteredMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

export interface BuiltTarget {
  /** By name. */
  readonly metrics: readonly RegisteredMetric[];
  readonly workers: readonly Worker[];
}

/** An embedded platform in a temporary folder, with migrated databases. */
export class TargetBuilder {
  readonly #folder: string;
  readonly #config: Config;
  readonly #platform: OpenPlatform;

  private constructor(folder: string, config: Config, platform: OpenPlatform) {
    this.#folder = folder;
    this.#config = config;
    this.#platform = platform;
  }

  static async open(): Promise<TargetBuilder> {
    const folder = await mkdtemp(join(tmpdir(), "muster-target-"));
    const environment = { MUSTER_DATA_DIR: folder, MUSTER_HTTP_PORT: "0" };
    const config = loadConfig({ command: "serve", environment });
    return new TargetBuilder(folder, config, await openPlatform(config, deps));
  }

  async close(): Promise<void> {
    await this.#platform.close();
    await rm(this.#folder, { recursive: true });
  }

  databaseOf(service: ServiceName): Database {
    const database = this.#platform.databases.get(service);
    if (database === undefined) throw new Error(`${service} has no database`);
    return database;
  }

  async build(target: Target): Promise<BuiltTarget> {
    const metrics = new Metrics();
    const platform = this.#platform;
    const limiter = new MemoryRateLimiter({ limits: new Map() });
    const common = { ...deps, config: { ...this.#config, targets: [target] }, platform, metrics, limiter };
    const remote = platform.remoteCaller;
    const directory = new ServiceDirectory({ local: ["identity", "events", "segments"], remote });
    const threads = new ThreadPool({ ...deps, metrics });
    const { workers } = await buildServices({ ...common, eventCatalog: [], directory, threads, httpPort: 0 });
    const readiness = new Readiness({ clock: deps.clock, databases: platform.databases });
    const listener = await startHttpListener({ ...common, directory, readiness });
    await listener.stop(1_000);
    await threads.close();
    const registered = metrics.registry.getMetricsAsArray() as unknown as readonly (RegisteredMetric &
      object)[];
    return {
      workers,
      metrics: registered
        .map((metric) => ({
          name: metric.name,
          help: metric.help,
          type: metric.constructor.name.toLowerCase(),
          labelNames: metric.labelNames,
        }))
        .toSorted((left, right) => (left.name < right.name ? -1 : 1)),
    };
  }
}
