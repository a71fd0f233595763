// Serves grpc.health.v1: whether the server and each of its services accept calls. Needs no credentials.
import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@muster/contracts/grpc/health/v1/health_pb";
import { AppError } from "@muster/errors";
import type { CallOptions, StreamResponse, UnaryResponse } from "../caller.ts";
import { firstOf } from "../client.ts";
import type { LazyCaller } from "../dispatcher/dispatcher.ts";

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

export class HealthService implements LazyCaller {
  readonly service = Health;
  /** Full service names, and "" for the server as a whole. */
  readonly #names: ReadonlySet<string>;
  #isServing = true;
  #changed = Promise.withResolvers<void>();

  constructor(serviceNames: readonly string[]) {
    this.#names = new Set(["", ...serviceNames]);
  }

  setServing(isServing: boolean): void {
    if (isServing === this.#isServing) return;
    this.#isServing = isServing;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  unary(method: DescMethod, request: Message, options: CallOptions): Promise<UnaryResponse> {
    return this.unaryLazy(method, () => request, options);
  }

  async unaryLazy(method: DescMethod, decode: () => Message, _options: CallOptions): Promise<UnaryResponse> {
    const request = decode();
    if (method === Health.method.list) return { message: this.#list(), headers: NO_HEADERS };
    const { service } = request as HealthCheckRequest;
    // The protocol requires this status; Muster's closed list has no reason for unknown health names.
    if (!this.#names.has(service))
      throw new AppError("ROUTE_NOT_FOUND", { message: "There is no such service." });
    return { message: this.#status(service), headers: NO_HEADERS };
  }

  stream(_method: DescMethod, requests: AsyncIterable<Message>, options: CallOptions): StreamResponse {
    return { messages: this.#watch(requests, options.signal), headers: NO_HEADERS };
  }

  /** Unlike Check, Watch reports SERVICE_UNKNOWN for an unknown name and keeps the stream open. */
  async *#watch(requests: AsyncIterable<Message>, signal: AbortSignal): AsyncIterable<Message> {
    const { service } = (await firstOf(requests)) as HealthCheckRequest;
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      yield this.#status(service);
      await Promise.race([changed, aborted.promise]);
    }
    // A draining server sends a last status; a caller that disconnected cannot receive a status.
    if (!(signal.reason instanceof AppError)) return;
    yield this.#status(service);
    throw signal.reason;
  }

  #status(service: string): HealthCheckResponse {
    return create(HealthCheckResponseSchema, { status: this.#statusOf(service) });
  }

  #statusOf(service: string): ServingStatus {
    if (!this.#names.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return this.#isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  #list(): Message {
    const statuses = Object.fromEntries([...this.#names].map((name) => [name, this.#status(name)]));
    return create(HealthListResponseSchema, { statuses });
  }
}
