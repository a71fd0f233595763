// Tests methods with raw_body: only the gateway may call them, and the gateway serves them over REST alone.
import {
  clone,
  create,
  createFileRegistry,
  type DescFile,
  type DescMethod,
  setExtension,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { RestPolicySchema, rest } from "@muster/contracts/muster/options/v1/options_pb";
import { systemClock } from "@muster/core";
import type { Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { beforeEach, expect, test } from "vitest";
import { createConnectHandler, createDispatcher, SERVICE_TOKEN } from "../src/index.ts";
import { testModule, tokensOf } from "./test-module.ts";

/** MagicLinkService with `raw_body` on every method. */
function restOnlyService() {
  const files: DescFile[] = [];
  const add = (file: DescFile): void => {
    if (files.includes(file)) return;
    for (const dependency of file.dependencies) add(dependency);
    files.push(file);
  };
  add(MagicLinkService.file);
  const protos = files.map((file) => clone(FileDescriptorProtoSchema, file.proto));
  for (const { options } of protos.at(-1)?.service[0]?.method ?? []) {
    if (options !== undefined) setExtension(options, rest, create(RestPolicySchema, { rawBody: true }));
  }
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: protos }));
  const service = registry.getService(MagicLinkService.typeName);
  if (service === undefined) throw new Error("the service is lost");
  return service;
}

const service = restOnlyService();
const method = service.method.sendMagicLink as DescMethod;
let calls: number;
const none = (): void => {};
const silent: Logger = { error: none, warn: none, info: none, debug: none, child: () => silent };

const { admission, keys } = testModule();
const dispatcher = createDispatcher({
  implementations: [
    {
      service,
      handlers: Object.fromEntries(
        service.methods.map(({ localName }) => [
          localName,
          async () => {
            calls += 1;
            return {};
          },
        ]),
      ),
    },
  ],
  serviceName: "test",
  clock: systemClock,
  log: silent,
  metrics: new Metrics(),
  credentials: keys,
  serviceTokens: tokensOf("test"),
});

beforeEach(() => {
  calls = 0;
});

function call(headers: Record<string, string>): Promise<unknown> {
  const request = create(method.input, { email: "ada@example.com" });
  const signal = new AbortController().signal;
  return dispatcher.unary(method, request, { headers: new Map(Object.entries(headers)), signal });
}

test.each<[string, Record<string, string>]>([
  ["no token", {}],
  ["the token of another service", { [SERVICE_TOKEN]: tokensOf("events").mint() }],
  ["a forged token", { [SERVICE_TOKEN]: "gateway" }],
])("a caller with %s is refused", async (_, headers) => {
  await expect(call(headers)).rejects.toMatchObject({ reason: "UNIMPLEMENTED" });
  expect(calls).toBe(0);
});

test("the gateway may call", async () => {
  await call({ [SERVICE_TOKEN]: tokensOf("gateway").mint() });
  expect(calls).toBe(1);
});

test("Connect and gRPC-Web have no such method", () => {
  const own = createConnectHandler({ services: [service], caller: dispatcher, admission });
  const original = createConnectHandler({ services: [MagicLinkService], caller: dispatcher, admission });
  for (const { name } of service.methods) {
    expect(own.find(`/${service.typeName}/${name}`)).toBeUndefined();
    expect(original.find(`/${service.typeName}/${name}`)).toBeDefined();
  }
});
