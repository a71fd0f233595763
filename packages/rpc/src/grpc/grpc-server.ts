// Serves the gRPC port with grpc-js: every service of the process, health and reflection.
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { AssertionError, type Clock, type IdSource, randomIds, systemClock } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Dispatcher } from "../dispatcher/dispatcher.ts";
import { OpenCalls, serverGoingAway } from "../streams/open-calls.ts";
import { OUTPUT_LIMITS, type OutputLimits } from "../streams/output-guard.ts";
import { MESSAGE_BYTES_CUT } from "./grpc-codec.ts";
import { HealthService } from "./grpc-health.ts";
import { type GrpcMount, mountService } from "./grpc-mount.ts";
import { ReflectionService } from "./grpc-reflection.ts";
import { shortenLongTimeouts } from "./long-timeouts.ts";
import { UnreadResponses } from "./unread-responses.ts";

export interface GrpcServerOptions {
  readonly dispatchers: readonly Dispatcher[];
  readonly host: string;
  /** 0 selects a free port. */
  readonly port: number;
  readonly tls?: GrpcServerTls | undefined;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly ids?: IdSource;
  /** Bounds of the output that a caller does not read, for each call. */
  readonly output?: Partial<OutputLimits>;
}

export interface GrpcServerTls {
  /** PEM. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** PEM. If set, clients must present a certificate signed by this authority. */
  readonly clientCa?: Buffer | undefined;
}

export interface GrpcServer {
  readonly port: number;
  /** "host:port" as clients dial it. */
  readonly address: string;
  /** Sets the result of health checks; true from the start. */
  setServing(isServing: boolean): void;
  /**
   * Accepts no new calls and ends endless streams; a bidirectional stream ends once the requests received so far
   * have responses. Lets other calls finish for up to `graceMs`, then ends the remaining calls too.
   */
  stop(graceMs: number): Promise<void>;
}

/** Time in which the callers of calls that were ended receive their status, before connections are cut. */
const CUT_MS = 500;

/** Pings detect dead peers; small windows would throttle a batch of megabytes. */
const SERVER_OPTIONS = {
  "grpc.max_receive_message_length": MESSAGE_BYTES_CUT,
  "grpc.max_send_message_length": MESSAGE_BYTES_CUT,
  "grpc.max_concurrent_streams": 1024,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Reconnecting callers resolve the name again and so find replicas that were added later.
  "grpc.max_connection_age_ms": 600_000,
  "grpc-node.flow_control_window": 1024 * 1024,
  "grpc.enable_channelz": 0,
} as const;

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { clock = systemClock, ids = randomIds } = options;
  const server = new Server(SERVER_OPTIONS);
  const calls = new OpenCalls();
  const output = { ...OUTPUT_LIMITS, ...options.output };
  const mount: GrpcMount = {
    server,
    log: options.log,
    newRequestId: () => ids.next(clock.nowMs()),
    clock,
    calls,
    output,
    unreadResponses: new UnreadResponses(clock, output),
  };
  const implementations = options.dispatchers.flatMap((dispatcher) =>
    dispatcher.implementations.map(({ service }) => ({ service, dispatcher })),
  );
  for (const { service, dispatcher } of implementations) mountService(mount, service, dispatcher);
  const services = implementations.map(({ service }) => service);
  const health = new HealthService(services.map((service) => service.typeName));
  mountService(mount, health.service, health);
  const reflection = new ReflectionService([...services, health.service]);
  for (const service of reflection.services) mountService(mount, service, reflection);

  const port = await bind(server, options);
  shortenLongTimeouts(server);
  return {
    port,
    address: `${dialable(options.host)}:${port}`,
    setServing: (isServing) => health.setServing(isServing),
    async stop(graceMs) {
      health.setServing(false);
      const goingAway = serverGoingAway();
      calls.drain(goingAway);
      const stopped = new AbortController();
      void clock.sleep(graceMs, stopped.signal).then(() => calls.cut(goingAway));
      await shutDown(server, listenAddress(options.host, port), graceMs + Math.min(graceMs, CUT_MS));
      stopped.abort();
    },
  };
}

function bind(server: Server, options: GrpcServerOptions): Promise<number> {
  const { tls } = options;
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(
          tls.clientCa ?? null,
          [{ private_key: tls.key, cert_chain: tls.certificate }],
          tls.clientCa !== undefined,
        );
  const address = listenAddress(options.host, options.port);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new AssertionError(`cannot listen on ${address}: ${error.message}`));
    });
  });
}

function shutDown(server: Server, address: string, graceMs: number): Promise<void> {
  // Called before tryShutdown, because sessions that are closing already are never cut. forceShutdown is not
  // used: with channelz off it has no list of sessions.
  server.drain(address, graceMs);
  return new Promise((resolve) => server.tryShutdown(() => resolve()));
}

function listenAddress(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Clients cannot dial a wildcard address. */
function dialable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}
