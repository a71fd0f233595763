// Another process verifies keys: over a socket, with its own cache and its own service token.
import {
  apiKeyCredentials,
  CachingCredentialVerifier,
  newApiKeySecret,
  remoteApiKeyLookup,
  type ServiceTokens,
} from "@muster/authz";
import { EmbeddedBus } from "@muster/bus/embedded";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import {
  createClient,
  type GrpcCaller,
  type GrpcServer,
  grpcCaller,
  startGrpcServer,
  withServiceToken,
} from "@muster/rpc";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IdentityUnderTest } from "./identity-under-test.ts";

const log = createLogger({ level: "silent" });
let identity: IdentityUnderTest;
let server: GrpcServer;
let caller: GrpcCaller;
let key: string;

beforeAll(async () => {
  identity = await IdentityUnderTest.open("sqlite");
  server = await startGrpcServer({ dispatchers: [identity.dispatcher], host: "127.0.0.1", port: 0, log });
  caller = grpcCaller({ address: server.address });
  key = (await identity.organization()).secret;
});
afterAll(async () => {
  caller.close();
  await server.stop(0);
  await identity.close();
});

function verifierOf(tokens: ServiceTokens): CachingCredentialVerifier {
  const client = createClient(CredentialService, withServiceToken(caller, tokens));
  const broadcasts = new EmbeddedBus({ clock: systemClock, log });
  return new CachingCredentialVerifier({
    lookups: [apiKeyCredentials(remoteApiKeyLookup(client, systemClock))],
    clock: systemClock,
    broadcasts,
    log,
  });
}

test("a good key is known, another is not", async () => {
  const verifier = verifierOf(identity.tokensOf("events"));
  const principal = await verifier.verify(key);
  expect(principal?.permissions.has("events.write")).toBe(true);
  expect(await verifier.verify(newApiKeySecret())).toBeUndefined();
});

test("an unauthenticated calling service reveals nothing about the key", async () => {
  const unavailable = { reason: "UNAVAILABLE", row: { http: 503 } };
  const ofAnotherInstallation = identity.tokensOf("events", new Uint8Array(32).fill(1));
  await expect(verifierOf(ofAnotherInstallation).verify(key)).rejects.toMatchObject(unavailable);
  await expect(verifierOf(identity.tokensOf("webhooks")).verify(key)).rejects.toMatchObject(unavailable);
});

test("with identity down, cached keys work and others are 503, not 401", async () => {
  const verifier = verifierOf(identity.tokensOf("events"));
  await verifier.verify(key);
  await server.stop(0);
  expect(await verifier.verify(key)).toBeDefined();
  await expectReason(verifier.verify(newApiKeySecret()), "UNAVAILABLE", { retryAfterMs: 1_000 });
});
