// How a call finds its service: straight to the dispatcher where this process runs it, else by gRPC.
import { AppError } from "@muster/errors";
import type { Caller, Dispatcher } from "@muster/rpc";
import type { ServiceName } from "@muster/runtime";

export class ServiceDirectory {
  readonly #local: ReadonlySet<ServiceName>;
  readonly #remote: (service: ServiceName) => Caller;
  readonly #dispatchers = new Map<ServiceName, Dispatcher>();

  constructor(options: {
    /** The services that this process runs, or is about to. */
    readonly local: readonly ServiceName[];
    readonly remote: (service: ServiceName) => Caller;
  }) {
    this.#local = new Set(options.local);
    this.#remote = options.remote;
  }

  add(service: ServiceName, dispatcher: Dispatcher): void {
    this.#dispatchers.set(service, dispatcher);
  }

  /** May be taken before the service is built: services know one another in circles. */
  callerOf(service: ServiceName): Caller {
    if (!this.#local.has(service)) return this.#remote(service);
    return {
      unary: async (method, request, options) => this.#dispatcherOf(service).unary(method, request, options),
      stream: (method, requests, options) => this.#dispatcherOf(service).stream(method, requests, options),
    };
  }

  #dispatcherOf(service: ServiceName): Dispatcher {
    const dispatcher = this.#dispatchers.get(service);
    if (dispatcher === undefined) throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000 });
    return dispatcher;
  }
}
