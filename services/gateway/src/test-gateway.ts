// Starts a gateway over real HTTP in front of a scripted caller. For tests only.
import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { ServiceTokenPort } from "@muster/authz";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type OrganizationId, randomIds, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import {
  type Admission,
  AUTHORIZATION,
  type Caller,
  type CallOptions,
  type StreamResponse,
  type UnaryResponse,
} from "@muster/rpc";
import { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";

/** Returns scripted responses and records calls. */
export class ScriptedCaller implements Caller {
  calls: { method: DescMethod; request: Message; options: CallOptions }[] = [];
  response: (method: DescMethod, request: Message, options: CallOptions) => Promise<UnaryResponse> =
    async () => {
      throw new AppError("UNIMPLEMENTED");
    };
  messages: (options: CallOptions) => AsyncIterable<Message> = async function* () {};
  /** Metadata of the response of a stream. */
  streamHeaders: ReadonlyMap<string, string> = new Map();

  async unary(method: DescMethod, request: Message, options: CallOptions): Promise<UnaryResponse> {
    this.calls.push({ method, request, options });
    return this.response(method, request, options);
  }

  stream(method: DescMethod, _requests: AsyncIterable<Message>, options: CallOptions): StreamResponse {
    this.calls.push({ method, request: { $typeName: "" }, options });
    return { messages: this.messages(options), headers: this.streamHeaders };
  }

  get last(): { method: DescMethod; request: Message; options: CallOptions } {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error("nothing was called");
    return call;
  }
}

const serviceTokens: ServiceTokenPort = {
  mint: (options) => (options?.actAsDemo ? "token-of-the-demo" : "token-of-the-gateway"),
  verify: () => undefined,
};

/** Admits everybody, as an organization for each credential. */
const admitAll: Admission = {
  async admit(_method, headers) {
    const id = headers.get(AUTHORIZATION) ?? "";
    const permissions = { has: () => true };
    return { kind: "api_key", id, organizationId: id as OrganizationId, permissions };
  },
  async admitBody() {},
};

export interface TestGateway {
  readonly gateway: Gateway;
  readonly port: number;
  readonly caller: ScriptedCaller;
  readonly metrics: Metrics;
  /** The lines logged so far. */
  logged(): Record<string, unknown>[];
}

type TestOptions = { [K in keyof GatewayOptions]?: NonNullable<GatewayOptions[K]> };

export async function startTestGateway(options: TestOptions = {}): Promise<TestGateway> {
  const caller = new ScriptedCaller();
  const metrics = new Metrics();
  const lines = new PassThrough();
  let text = "";
  lines.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const gateway = createGateway({
    host: "127.0.0.1",
    port: 0,
    services: [EventService, ProfileService, EventFeedService, ExportService, SegmentService],
    caller: () => caller,
    admission: admitAll,
    serviceTokens,
    clock: systemClock,
    ids: randomIds,
    log: createLogger({ level: "info", destination: lines }),
    metrics,
    readiness: async () => ({ isReady: true, reason: "ready" }),
    ...options,
  });
  const port = await gateway.start();
  const logged = (): Record<string, unknown>[] =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  return { gateway, port, caller, metrics, logged };
}

export interface TestResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
  json(): Record<string, unknown>;
}

export interface TestRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array | undefined;
  /** Sends the body without Content-Length. */
  readonly chunked?: boolean;
}

/** A request by node's own client, which lets a test choose every header. */
export function send(port: number, path: string, options: TestRequest = {}): Promise<TestResponse> {
  const { method = "GET", headers = {}, body, chunked } = options;
  return new Promise((resolve, reject) => {
    const length = body === undefined || chunked ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const request = httpRequest(
      { port, path, method, headers: { ...length, ...headers }, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            bytes,
            json: () => JSON.parse(text),
          });
        });
      },
    );
    request.on("error", reject);
    if (body !== undefined) request.write(body);
    request.end();
  });
}

/** Sends bytes and resolves with all received bytes once the gateway ends the connection. */
export function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

/** A connection whose bytes a test writes and reads itself. */
export class RawConnection {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** Everything received so far, a character for each byte. */
  get text(): string {
    return this.#bytes.toString("latin1");
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The status lines received so far. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  send(...parts: (string | Uint8Array)[]): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  /** Resolves once this many responses have begun, or the connection has closed. */
  async responses(count: number): Promise<number[]> {
    while (this.statuses.length < count && !this.#isClosed) {
      await Promise.race([once(this.socket, "data"), once(this.socket, "close")]);
    }
    return this.statuses;
  }
}

/** The head of a request. */
export function head(method: string, path: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ host: "x", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
