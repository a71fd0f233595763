// Compares the metrics that each target registers with the reviewed list: names, types, labels and help.
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Config, loadConfig, TARGETS, type Target } from "@muster/config";
import { randomIds, systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { Readiness } from "@muster/runtime";
import { golden } from "@muster/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPlatform } from "../../apps/muster/src/platform/open-platform.ts";
import type { OpenPlatform } from "../../apps/muster/src/platform/platform.ts";
import { buildServices } from "../../apps/muster/src/server/build-services.ts";
import { startHttpListener } from "../../apps/muster/src/server/http-listener.ts";
import { ServiceDirectory } from "../../apps/muster/src/server/service-directory.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const deps = { clock: systemClock, ids: randomIds, log: createLogger({ level: "silent" }) };

interface RegisteredMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

let folder = "";
let config: Config;
let platform: OpenPlatform;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "muster-metrics-"));
  const environment = { MUSTER_DATA_DIR: folder, MUSTER_HTTP_PORT: "0" };
  config = loadConfig({ command: "serve", environment });
  platform = await openPlatform(config, deps);
});

afterAll(async () => {
  await platform?.close();
  await rm(folder, { recursive: true });
});

/** Builds a target as `muster serve --target=…` does and lists the metrics of its registry by name. */
async function metricsOf(target: Target): Promise<RegisteredMetric[]> {
  const metrics = new Metrics();
  const only = { ...config, targets: [target] };
  const remote = platform.remoteCaller;
  const directory = new ServiceDirectory({ local: ["identity", "events", "segments"], remote });
  await buildServices({ ...deps, config: only, eventCatalog: [], platform, directory, metrics });
  const readiness = new Readiness({ clock: deps.clock, databases: platform.databases });
  const listener = await startHttpListener({
    ...deps,
    config: only,
    platform,
    directory,
    readiness,
    metrics,
  });
  await listener.stop(1_000);
  const registered = metrics.registry.getMetricsAsArray() as unknown as readonly (RegisteredMetric &
    object)[];
  return registered.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function typeOf(metric: object): string {
  return metric.constructor.name.toLowerCase();
}

test("the metrics of every target are those that were reviewed", async () => {
  let text = "";
  const registered = new Set<string>();
  for (const target of TARGETS) {
    text += `${target}\n`;
    for (const metric of await metricsOf(target)) {
      registered.add(metric.name);
      text += `  ${metric.name} ${typeOf(metric)} {${metric.labelNames.join(", ")}} ${metric.help}\n`;
    }
  }
  await golden("metrics.txt", text);
  expect([...registered].sort()).toEqual(namesInSources());
});

/** Metric names written in the sources, so that a metric of a rare path is found too. */
function namesInSources(): string[] {
  const names = new Set<string>();
  for (const root of ["packages", "services", "apps"]) {
    for (const file of readdirSync(join(ROOT, root), { recursive: true, encoding: "utf8" })) {
      if (!/^[^/]+\/src\/.*\.ts$/.test(file) || file.endsWith(".test.ts") || /\/(gen|testing)\//.test(file))
        continue;
      const text = readFileSync(join(ROOT, root, file), "utf8");
      for (const [, name = ""] of text.matchAll(/"(muster_[a-z_]+)"/g)) names.add(name);
    }
  }
  return [...names].sort();
}
