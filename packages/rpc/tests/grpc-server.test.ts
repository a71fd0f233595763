// Tests the gRPC port with stock clients: health, reflection, limits, draining.
import { execFile } from "node:child_process";
import { connect } from "node:http2";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { type AnyDefinition, loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { Health, HealthCheckResponse_ServingStatus } from "@muster/contracts/grpc/health/v1/health_pb";
import {
  type FileDescriptorResponse,
  ServerReflection,
} from "@muster/contracts/grpc/reflection/v1/reflection_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  ApiKeyService,
  CreateApiKeyRequestSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { firstOf, single } from "../src/client.ts";
import { createClient, type GrpcCaller, type GrpcServer, grpcCaller, startGrpcServer } from "../src/index.ts";
import { silent } from "./mounts.ts";
import { FULL_ERROR, newKey, type TestModule, testModule } from "./test-module.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const WRITER = { headers: new Map([["authorization", "Bearer writer"]]) };
const CREATE_API_KEY = "/muster.identity.v1.ApiKeyService/CreateApiKey";

let module: TestModule;
let server: GrpcServer;

beforeAll(async () => {
  module = testModule();
  server = await startGrpcServer({
    dispatchers: [module.dispatcher],
    host: "127.0.0.1",
    port: 0,
    log: silent,
  });
});
afterAll(() => server.stop(0));
beforeEach(() => {
  Object.assign(module.observed, { read: 0, yielded: 0, ended: 0 });
  module.observed.log.length = 0;
  module.observed.calls.length = 0;
});

interface Stock {
  readonly package: Record<string, AnyDefinition>;
  client(service: string): InstanceType<ServiceClientConstructor>;
}

function stock(...files: string[]): Stock {
  const definition = loadSync(files, {
    includeDirs: [`${ROOT}proto`, `${ROOT}third_party/proto`],
    keepCase: true,
    longs: String,
    enums: String,
  });
  return {
    package: definition,
    client(service) {
      const found = service
        .split(".")
        .reduce<unknown>(
          (node, name) => (node as Record<string, unknown>)[name],
          loadPackageDefinition(definition),
        );
      return new (found as ServiceClientConstructor)(server.address, credentials.createInsecure());
    },
  };
}

interface Failure {
  readonly error: ServiceError;
}

function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

describe("a stock grpc-js client with proto-loader", () => {
  const loaded = stock(
    "muster/identity/v1/api_key_service.proto",
    "muster/events/v1/event_service.proto",
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
  );
  let apiKeys: InstanceType<ServiceClientConstructor>;
  beforeAll(() => {
    apiKeys = loaded.client("muster.identity.v1.ApiKeyService");
  });
  afterAll(() => apiKeys.close());

  function createApiKey(
    name: string,
    headers: Record<string, string>,
  ): Promise<Failure | { response: unknown }> {
    return new Promise((resolve) => {
      const call = apiKeys.createApiKey;
      call?.call(
        apiKeys,
        newKey(name),
        metadataOf(headers),
        (error: ServiceError | null, response: unknown) => resolve(error === null ? { response } : { error }),
      );
    });
  }

  function decode(type: string, bytes: Buffer): Record<string, unknown> {
    return (loaded.package[type] as MessageTypeDefinition<object, object>).deserialize(bytes) as Record<
      string,
      unknown
    >;
  }

  test("calls, and reads the response", async () => {
    const result = await createApiKey("Acme", { authorization: "Bearer writer" });
    expect(result).toMatchObject({ response: { api_key: { name: "Acme" } } });
  });

  test("reads every detail of an error", async () => {
    const result = await createApiKey("fails", {
      authorization: "Bearer writer",
      "x-request-id": "request-2",
    });
    const { error } = result as Failure;
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(error.details).toBe(FULL_ERROR.message);
    expect(error.metadata.get("retry-after")).toEqual(["3"]);
    const [bytes] = error.metadata.get("grpc-status-details-bin");
    const decodedStatus = decode("google.rpc.Status", bytes as Buffer);
    expect(decodedStatus).toMatchObject({ code: status.ALREADY_EXISTS, message: FULL_ERROR.message });
    const details = (decodedStatus.details as { type_url: string; value: Buffer }[]).map(
      ({ type_url, value }) => ({
        type: type_url,
        ...decode(type_url.replace("type.googleapis.com/", ""), value),
      }),
    );
    expect(details).toMatchObject([
      {
        type: "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "EVENT_CONFLICT",
        domain: "muster",
        metadata: { event_id: "e-1" },
      },
      {
        field_violations: FULL_ERROR.fields.map(({ field, message }) => ({ field, description: message })),
      },
      { retry_delay: { seconds: "2", nanos: 500_000_000 } },
      { request_id: "request-2" },
    ]);
  });

  test("receives 401 before 403 before 400", async () => {
    const code = async (headers: Record<string, string>): Promise<number> =>
      ((await createApiKey("", headers)) as Failure).error.code;
    expect(await code({})).toBe(status.UNAUTHENTICATED);
    expect(await code({ authorization: "Bearer reader" })).toBe(status.PERMISSION_DENIED);
    expect(await code({ authorization: "Bearer writer" })).toBe(status.INVALID_ARGUMENT);
  });
});

/** A client that sends arbitrary bytes. */
function raw(
  path: string,
  bytes: Buffer,
  headers: Record<string, string>,
  maxBytes = 64 * 1024 * 1024,
): Promise<ServiceError | null> {
  const client = new Client(server.address, credentials.createInsecure(), {
    "grpc.max_send_message_length": maxBytes,
  });
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value) => value,
      bytes,
      metadataOf(headers),
      {},
      (error) => {
        client.close();
        resolve(error);
      },
    );
  });
}

describe("hostile requests", () => {
  const key = { authorization: "Bearer writer" };
  const garbage = Buffer.from([0x0a, 0xff]);

  test("bytes that are no message fail after authentication", async () => {
    expect(await raw(CREATE_API_KEY, garbage, {})).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await raw(CREATE_API_KEY, garbage, key)).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(module.observed.calls).toEqual([]);
  });

  test("bytes in a stream that are no message fail it, though its handler continues", async () => {
    const client = new Client(server.address, credentials.createInsecure());
    const pass = (value: Buffer): Buffer => value;
    const path = "/muster.events.v1.EventService/IngestEvents";
    const call = client.makeBidiStreamRequest(path, pass, pass, metadataOf(key));
    call.on("data", () => {});
    const failed = new Promise((resolve) => call.on("error", resolve));
    call.write(Buffer.from([0x08, 0x01]));
    call.write(garbage);
    expect(await failed).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(module.observed).toMatchObject({ read: 1, ended: 1 });
    client.close();
  });

  test("a message over the limit, and one far over it", async () => {
    for (const megabytes of [5, 20]) {
      const message = create(CreateApiKeyRequestSchema, { name: "x".repeat(megabytes * 1024 * 1024) });
      const error = await raw(CREATE_API_KEY, Buffer.from(toBinary(CreateApiKeyRequestSchema, message)), key);
      expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    }
    expect(await raw(CREATE_API_KEY, Buffer.from([]), key)).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  test("a response over the limit is a defect of the handler, not of the request", async () => {
    const caller = grpcCaller({ address: server.address });
    const organizations = createClient(OrganizationService, caller, WRITER);
    await expect(organizations.listOrganizations({ pageSize: 500 })).rejects.toMatchObject({
      reason: "INTERNAL",
    });
    caller.close();
  });

  test("too much metadata", async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`x-filler-${i}`, "y".repeat(1000)]),
    );
    expect(await raw(CREATE_API_KEY, Buffer.from([]), { ...key, ...metadata })).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  test("a method that is not there", async () => {
    expect(await raw("/muster.identity.v1.OrganizationService/Nothing", Buffer.from([]), key)).toMatchObject({
      code: status.UNIMPLEMENTED,
    });
  });

  test("a response that cannot be encoded is a defect, logged under its id", async () => {
    const bytes = toBinary(
      CreateApiKeyRequestSchema,
      create(CreateApiKeyRequestSchema, newKey("unencodable")),
    );
    const error = await raw(CREATE_API_KEY, Buffer.from(bytes), key);
    expect(error).toMatchObject({ code: status.INTERNAL });
    expect(error?.metadata.get("grpc-status-details-bin")).toHaveLength(1);
  });

  test("a connection that breaks off in the middle of a call", async () => {
    const session = connect(`http://${server.address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/muster.events.v1.EventService/IngestEvents",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: "Bearer writer",
    });
    stream.on("error", () => {});
    session.on("error", () => {});
    stream.write(Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]));
    await waitFor(() => module.observed.read === 1);
    session.destroy();
    await waitFor(() => module.observed.ended === 1);
    expect(module.observed.calls[0]?.signal.reason).toMatchObject({ reason: "CANCELED" });
  });
});

describe("health", () => {
  const loaded = stock("grpc/health/v1/health.proto");

  test("is checked by service name, without credentials", async () => {
    const health = loaded.client("grpc.health.v1.Health");
    const check = (service: string) =>
      new Promise((resolve) =>
        health.check?.call(health, { service }, (e: unknown, a: unknown) => resolve(e ?? a)),
      );
    expect(await check("")).toEqual({ status: "SERVING" });
    expect(await check("muster.events.v1.EventService")).toEqual({ status: "SERVING" });
    expect(await check("nobody")).toMatchObject({ code: status.NOT_FOUND });
    health.close();
  });

  test("is watched as it changes", async () => {
    const health = loaded.client("grpc.health.v1.Health");
    const seen: string[] = [];
    const watch = health.watch?.call(health, { service: "" });
    watch?.on("data", (response: { status: string }) => seen.push(response.status));
    watch?.on("error", () => {});
    await waitFor(() => seen.length === 1);
    server.setServing(false);
    await waitFor(() => seen.length === 2);
    server.setServing(true);
    await waitFor(() => seen.length === 3);
    expect(seen).toEqual(["SERVING", "NOT_SERVING", "SERVING"]);
    watch?.cancel();
    health.close();
  });
});

describe("reflection, by buf curl", () => {
  async function bufCurl(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(
      `${ROOT}node_modules/.bin/buf`,
      ["curl", "--http2-prior-knowledge", "--protocol", "grpc", ...args],
      { cwd: "/" },
    );
    return stdout;
  }
  const url = (path: string): string => `http://${server.address}${path}`;

  test.each(["grpc-v1", "grpc-v1alpha"])("%s lists, describes and calls", async (protocol) => {
    const base = ["--reflect-protocol", protocol];
    const [listed, called] = await Promise.all([
      bufCurl(...base, "--list-methods", url("")),
      bufCurl(
        ...base,
        "--header",
        "authorization: Bearer writer",
        "--data",
        JSON.stringify(newKey("Acme")),
        url(CREATE_API_KEY),
      ),
    ]);
    expect(listed.split("\n")).toEqual(
      expect.arrayContaining([
        "muster.identity.v1.ApiKeyService/CreateApiKey",
        "muster.events.v1.EventService/IngestEvents",
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      ]),
    );
    expect(JSON.parse(called)).toMatchObject({ apiKey: { name: "Acme" } });
  });

  test.each(["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo", "google.rpc.Status"])(
    "describes %s, a part of errors",
    async (symbol) => {
      const caller = grpcCaller({ address: server.address });
      const requests = single({ messageRequest: { case: "fileContainingSymbol" as const, value: symbol } });
      const response = await firstOf(createClient(ServerReflection, caller).serverReflectionInfo(requests));
      caller.close();
      const { value } = response.messageResponse;
      const files = (value as FileDescriptorResponse).fileDescriptorProto.map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      const names = files.flatMap(({ package: name, messageType }) =>
        messageType.map((message) => `${name}.${message.name}`),
      );
      expect(names).toContain(symbol);
    },
  );
});

describe("draining", () => {
  async function drained(): Promise<{ server: GrpcServer; caller: GrpcCaller; module: TestModule }> {
    const own = testModule();
    const one = await startGrpcServer({
      dispatchers: [own.dispatcher],
      host: "127.0.0.1",
      port: 0,
      log: silent,
    });
    return { server: one, caller: grpcCaller({ address: one.address }), module: own };
  }

  test("ends tails with UNAVAILABLE and acknowledges what a stream has sent", async () => {
    const own = await drained();
    const events = createClient(EventService, own.caller, WRITER);
    const tail = outcome(events.tailEvents({ names: ["waits"] }));
    async function* requests() {
      yield { sequence: 7n, event: { name: "a" } };
      await new Promise<never>(() => {});
    }
    const ingest = outcome(events.ingestEvents(requests()));
    await waitFor(() => own.module.observed.calls.length === 2 && own.module.observed.read === 1);
    const startMs = performance.now();
    await own.server.stop(5000);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(await tail).toMatchObject({ reason: "UNAVAILABLE", messages: [{ resumeToken: "attached" }] });
    expect(await ingest).toMatchObject({
      reason: "UNAVAILABLE",
      messages: [{ ackedThrough: 7n }, { ackedThrough: -1n }],
    });
    own.caller.close();
  });

  test("is reported to health watches", async () => {
    const own = await drained();
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
    const watch = createClient(Health, own.caller).watch({})[Symbol.asyncIterator]();
    expect((await watch.next()).value?.status).toBe(SERVING);
    const rest = outcome({ [Symbol.asyncIterator]: () => watch });
    await own.server.stop(5000);
    expect(await rest).toMatchObject({ reason: "UNAVAILABLE", messages: [{ status: NOT_SERVING }] });
    own.caller.close();
  });

  test("cuts what does not end in time", async () => {
    const own = await drained();
    const apiKeys = createClient(ApiKeyService, own.caller, WRITER);
    const hanging = apiKeys.createApiKey(newKey("hangs")).catch((error: unknown) => error);
    await waitFor(() => own.module.observed.calls.length === 1);
    const startMs = performance.now();
    await own.server.stop(100);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(await hanging).toMatchObject({ reason: expect.stringMatching(/^(UNAVAILABLE|CANCELED)$/) });
    own.caller.close();
  });

  test("a caller reconnects when the server is back", async () => {
    const own = await drained();
    const apiKeys = createClient(ApiKeyService, own.caller, WRITER);
    await apiKeys.createApiKey(newKey("Acme"));
    await own.server.stop(1000);
    await expect(apiKeys.createApiKey(newKey("Acme"))).rejects.toMatchObject({
      reason: "UNAVAILABLE",
    });
    const again = await startGrpcServer({
      dispatchers: [own.module.dispatcher],
      host: "127.0.0.1",
      port: own.server.port,
      log: silent,
    });
    await waitFor(() =>
      apiKeys.createApiKey(newKey("Acme")).then(
        () => true,
        () => false,
      ),
    );
    own.caller.close();
    await again.stop(0);
  });
});

async function outcome<T>(messages: AsyncIterable<T>): Promise<{ messages: T[]; reason: unknown }> {
  const collected: T[] = [];
  try {
    for await (const message of messages) collected.push(message);
  } catch (error) {
    return { messages: collected, reason: (error as { reason: unknown }).reason };
  }
  return { messages: collected, reason: undefined };
}

describe("a deadline", () => {
  test.each(["99999999H", "99999999M"])("of %s is no deadline of the past", async (timeout) => {
    const session = connect(`http://${server.address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": CREATE_API_KEY,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: "Bearer writer",
      "grpc-timeout": timeout,
    });
    const message = toBinary(CreateApiKeyRequestSchema, create(CreateApiKeyRequestSchema, newKey("Far")));
    const envelope = Buffer.alloc(5);
    envelope.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([envelope, message]));
    stream.resume();
    const code = await new Promise((resolve) => {
      stream.on("trailers", (trailers) => resolve(trailers["grpc-status"]));
      stream.on("response", (headers) => headers["grpc-status"] && resolve(headers["grpc-status"]));
    });
    expect(code).toBe(String(status.OK));
    session.destroy();
  });
});
