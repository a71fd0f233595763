// Routes a call to its service: to the dispatcher where this process runs the service, else by gRPC.
import { AppError } from "@muster/errors";
import type { Caller, Dispatcher } from "@muster/rpc";
import type { ServiceName } from "@muster/runtime";

export class ServiceDirectory {
  readonly #local: ReadonlySet<ServiceName>;
  readonly #remote: (service: ServiceName) => Caller;
  readonly #dispatchers = new Map<ServiceName, Dispatcher>();

  constructor(options: {
    /** Services of this process, including services not built yet. */
    readonly local: readonly ServiceName[];
    readonly remote: (service: ServiceName) => Caller;
  }) {
    this.#local = new Set(options.local);
    this.#remote = options.remote;
  }

  add(service: ServiceName, dispatcher: Dispatcher): void {
    this.#dispatchers.set(service, dispatcher);
  }

  /** May be called before the service is built, because services depend on each other in circles. */
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
