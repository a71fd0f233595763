// Tests the gRPC caller against peers that end streams with errors, break rules, or lose connections.
import { createServer, type Http2Server } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerWritableStream, status } from "@grpc/grpc-js";
import { EventService, TailEventsResponseSchema } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import {
  GetOrganizationResponseSchema,
  OrganizationDirectoryService,
} from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { afterEach, describe, expect, test } from "vitest";
import { toGrpcStatus } from "../src/grpc/grpc-errors.ts";
import {
  createClient,
  type GrpcCaller,
  type GrpcCallerOptions,
  grpcCaller,
  startGrpcServer,
} from "../src/index.ts";
import { silent } from "./mounts.ts";
import { newKey, testModule } from "./test-module.ts";

const WRITER = { headers: new Map([["authorization", "Bearer writer"]]) };
const TAIL = "/muster.events.v1.EventService/TailEvents";
const GET = "/muster.identity.v1.OrganizationDirectoryService/GetOrganization";
const pass = (bytes: Buffer): Buffer => bytes;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function callerOf(options: GrpcCallerOptions): GrpcCaller {
  const caller = grpcCaller(options);
  cleanups.push(() => caller.close());
  return caller;
}

/** Starts a stock server with a single method. */
async function peer(path: string, respond: (call: ServerWritableStream<Buffer, Buffer>) => void) {
  const server = new Server();
  server.register(path, respond, pass, pass, "serverStream");
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  cleanups.push(() => server.forceShutdown());
  return callerOf({ address: `127.0.0.1:${port}` });
}

function bytesOf<Desc extends DescMessage>(desc: Desc, init: MessageInitShape<Desc>): Buffer {
  return Buffer.from(toBinary(desc, create(desc, init)));
}

describe("a stream that ends with an error", () => {
  test.each([1, 100])("delivers its %i messages to a slow reader first", async (count) => {
    const caller = await peer(TAIL, (call) => {
      for (let index = 0; index < count; index += 1)
        call.write(bytesOf(TailEventsResponseSchema, { resumeToken: String(index) }));
      call.emit("error", toGrpcStatus(new AppError("UNAVAILABLE", { message: "The server is going away." })));
    });
    const received: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { resumeToken } of createClient(EventService, caller).tailEvents({})) {
        received.push(resumeToken);
        await sleep(1);
      }
    };
    await expect(read()).rejects.toMatchObject({
      reason: "UNAVAILABLE",
      message: "The server is going away.",
    });
    expect(received).toEqual(Array.from({ length: count }, (_, index) => String(index)));
  });

  test("delivers nothing after its reader has canceled", async () => {
    const caller = await peer(TAIL, (call) => {
      for (let index = 0; index < 10; index += 1)
        call.write(bytesOf(TailEventsResponseSchema, { resumeToken: String(index) }));
    });
    const controller = new AbortController();
    const { signal } = controller;
    const received: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { resumeToken } of createClient(EventService, caller).tailEvents({}, { signal })) {
        received.push(resumeToken);
        controller.abort(new AppError("CANCELED"));
      }
    };
    await expect(read()).rejects.toMatchObject({ reason: "CANCELED" });
    expect(received).toEqual(["0"]);
  });
});

describe("a unary call", () => {
  const get = (caller: GrpcCaller) =>
    createClient(OrganizationDirectoryService, caller).getOrganization({
      organizationId: new Uint8Array(16),
    });

  test("without a message in its response is not implemented", async () => {
    const caller = await peer(GET, (call) => call.end());
    await expect(get(caller)).rejects.toMatchObject({ reason: "UNIMPLEMENTED" });
  });

  test("with two messages fails at once", async () => {
    const caller = await peer(GET, (call) => {
      for (let count = 0; count < 2; count += 1) call.write(bytesOf(GetOrganizationResponseSchema, {}));
    });
    await expect(get(caller)).rejects.toMatchObject({ reason: "UNIMPLEMENTED" });
  });
});

describe("a connection that breaks", () => {
  /** A replica that dies during every call. */
  async function breakingReplica(): Promise<{ readonly port: number; readonly calls: string[] }> {
    const calls: string[] = [];
    const server: Http2Server = createServer();
    server.on("stream", (stream, headers) => {
      calls.push(String(headers[":path"]));
      stream.session?.destroy();
    });
    server.on("sessionError", () => {});
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    cleanups.push(() => server.close());
    return { port: (server.address() as AddressInfo).port, calls };
  }

  async function goodReplica(port = 0) {
    const module = testModule();
    const server = await startGrpcServer({
      dispatchers: [module.dispatcher],
      host: "127.0.0.1",
      port,
      log: silent,
    });
    cleanups.push(() => server.stop(0));
    return { port: server.port, module };
  }

  test("repeats a read once on another replica", async () => {
    const [breaking, good] = [await breakingReplica(), await goodReplica()];
    const caller = callerOf({ address: `ipv4:127.0.0.1:${breaking.port},127.0.0.1:${good.port}` });
    const organizations = createClient(OrganizationService, caller, WRITER);
    while (breaking.calls.length < 3) {
      expect(await organizations.listOrganizations({ pageSize: 1 })).toMatchObject({ nextPageToken: "" });
      await sleep(10);
    }
  });

  test("does not repeat a write that was sent, and tells the caller when to try again", async () => {
    const [breaking, good] = [await breakingReplica(), await goodReplica()];
    const caller = callerOf({ address: `ipv4:127.0.0.1:${breaking.port},127.0.0.1:${good.port}` });
    const apiKeys = createClient(ApiKeyService, caller, WRITER);
    let successes = 0;
    const failures: unknown[] = [];
    while (breaking.calls.length < 3) {
      await apiKeys.createApiKey(newKey("one")).then(
        () => {
          successes += 1;
        },
        (error: unknown) => failures.push(error),
      );
      await sleep(10);
    }
    expect(failures).toHaveLength(3);
    for (const failure of failures)
      expect(failure).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1000 });
    expect(good.module.observed.calls).toHaveLength(successes);
  });

  test("repeats a call that was never sent, a write too, when the service returns", async () => {
    const reserved = createTcpServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => reserved.once("listening", resolve));
    const { port } = reserved.address() as AddressInfo;
    await new Promise((resolve) => reserved.close(resolve));
    let waits = 0;
    const clock = {
      ...systemClock,
      sleep: async () => {
        waits += 1;
        await goodReplica(port);
        // Longer than the channel waits before it connects again.
        await sleep(1000);
      },
    };
    const apiKeys = createClient(ApiKeyService, callerOf({ address: `127.0.0.1:${port}`, clock }), WRITER);
    expect(await apiKeys.createApiKey(newKey("one"))).toMatchObject({
      apiKey: { name: "one" },
    });
    expect(waits).toBe(1);
  });

  test("gives up after the second failure", async () => {
    const apiKeys = createClient(
      ApiKeyService,
      callerOf({ address: "127.0.0.1:1", clock: { ...systemClock, sleep: async () => {} } }),
      WRITER,
    );
    await expect(apiKeys.createApiKey(newKey("one"))).rejects.toMatchObject({
      reason: "UNAVAILABLE",
      code: status.UNAVAILABLE,
      retryAfterMs: 1000,
    });
  });
});
