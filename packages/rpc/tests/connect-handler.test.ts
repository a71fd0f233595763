// The handler that the gateway mounts, called by stock Connect and gRPC-Web clients over HTTP/1.1, and by
// requests that no client sends.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "@muster/contracts/google/rpc/error_details_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectServer, startConnectServer } from "./connect-server.ts";
import { FULL_ERROR, newKey, testModule } from "./test-module.ts";

let server: ConnectServer;
let port: number;

beforeAll(async () => {
  server = await startConnectServer(testModule());
  port = server.port;
});
afterAll(() => server.close());

const WRITER = { headers: { authorization: "Bearer writer", "x-request-id": "request-3" } };

describe.each([
  [
    "Connect, binary",
    () => createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, useBinaryFormat: true }),
  ],
  ["Connect, JSON", () => createConnectTransport({ baseUrl: `http://127.0.0.1:${port}` })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: `http://127.0.0.1:${port}` })],
])("a browser's client, %s", (_name, transport) => {
  test("calls", async () => {
    const response = await createClient(ApiKeyService, transport()).createApiKey(newKey("Acme"), WRITER);
    expect(response.apiKey?.name).toBe("Acme");
  });

  test("reads a server stream", async () => {
    const tokens: string[] = [];
    for await (const response of createClient(EventService, transport()).tailEvents({}, WRITER)) {
      tokens.push(response.resumeToken);
    }
    expect(tokens).toEqual(["attached"]);
  });

  test("reads every detail of an error, from a call and from a stream", async () => {
    const unary = createClient(ApiKeyService, transport()).createApiKey(newKey("fails"), WRITER);
    const stream = drain(createClient(EventService, transport()).tailEvents({ names: ["fails"] }, WRITER));
    for (const call of [unary, stream]) {
      const error = ConnectError.from(
        await call.then(
          () => undefined,
          (reason: unknown) => reason,
        ),
      );
      expect(error.code).toBe(Code.AlreadyExists);
      expect(error.rawMessage).toBe(FULL_ERROR.message);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
        { reason: "EVENT_CONFLICT", domain: "muster", metadata: { event_id: "e-1" } },
      ]);
      expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject(
        FULL_ERROR.fields.map(({ field, message }) => ({ field, description: message })),
      );
      expect(error.findDetails(RetryInfoSchema)).toMatchObject([
        { retryDelay: { seconds: 2n, nanos: 500_000_000 } },
      ]);
      expect(error.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "request-3" }]);
    }
  });
});

test("a client cannot bring a service's token", async () => {
  const headers = { "muster-service-token": JSON.stringify({ service: "segments", actAsDemo: false }) };
  const client = createClient(
    OrganizationService,
    createConnectTransport({ baseUrl: `http://127.0.0.1:${port}` }),
  );
  await expect(client.listOrganizations({}, { headers })).rejects.toMatchObject({
    code: Code.Unauthenticated,
  });
});

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}
