// The gRPC port of the services that run in this process.
import type { Config } from "@muster/config";
import type { Clock, IdSource } from "@muster/core";
import type { Logger } from "@muster/log";
import { type Dispatcher, startGrpcServer } from "@muster/rpc";
import type { Listener } from "@muster/runtime";
import { portProblem } from "../start-error.ts";

export interface GrpcListener extends Listener {
  readonly port: number;
}

/** Undefined where no service runs: a gateway alone has nothing to say in gRPC. */
export async function startGrpcListener(
  config: Config,
  dispatchers: readonly Dispatcher[],
  deps: { readonly clock: Clock; readonly ids: IdSource; readonly log: Logger },
): Promise<GrpcListener | undefined> {
  if (dispatchers.length === 0) return undefined;
  const { grpcHost: host, grpcPort: port } = config;
  const server = await startGrpcServer({ ...deps, dispatchers, host, port }).catch((error: unknown) => {
    throw portProblem("gRPC", "MUSTER_GRPC_PORT", error);
  });
  return {
    name: "grpc",
    port: server.port,
    notServing: () => server.setServing(false),
    stop: (timeoutMs) => server.stop(timeoutMs),
  };
}
