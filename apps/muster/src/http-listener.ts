// The HTTP port: the gateway where it runs, else probes and metrics alone.
import type { Config } from "@muster/config";
import type { Clock, IdSource } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { Listener, Readiness } from "@muster/runtime";
import { startHealthServer } from "./health-server.ts";
import type { OpenPlatform } from "./platform.ts";
import type { ServiceDirectory } from "./service-directory.ts";
import { portProblem } from "./start-error.ts";

export interface HttpListenerOptions {
  readonly config: Config;
  readonly platform: OpenPlatform;
  readonly directory: ServiceDirectory;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
}

export async function startHttpListener(
  options: HttpListenerOptions,
): Promise<Listener & { readonly port: number }> {
  const { config, readiness, metrics } = options;
  const { httpHost: host, httpPort: port } = config;
  const started = startHealthServer({ host, port, readiness, metrics });
  return started.catch((error: unknown) => {
    throw portProblem("HTTP", "MUSTER_HTTP_PORT", error);
  });
}
