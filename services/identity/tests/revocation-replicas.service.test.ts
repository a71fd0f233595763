// Two processes verify keys over a real broker: revocations, gaps in the beats, an identity that is gone.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  apiKeyCredentials,
  CachingCredentialVerifier,
  newApiKeySecret,
  remoteApiKeyLookup,
} from "@muster/authz";
import { JetStreamBus } from "@muster/bus/jetstream";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { randomIds, systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import {
  createClient,
  type GrpcCaller,
  type GrpcServer,
  grpcCaller,
  startGrpcServer,
  withServiceToken,
} from "@muster/rpc";
import { createOrganizationDirect, identityModule, ownCredentials } from "@muster/service-identity";
import { freePort, type PrivateServer, startNatsServer, waitFor } from "@muster/testkit";
import { type ModuleUnderTest, startModule } from "@muster/testkit/module";
import { afterEach, beforeEach, expect, test } from "vitest";

const log = createLogger({ level: "silent" });
const clock = systemClock;
const REVOCATIONS = 20;

/** A process that verifies keys: its own connections and cache. */
interface Replica {
  readonly bus: JetStreamBus;
  readonly caller: GrpcCaller;
  readonly verifier: CachingCredentialVerifier;
  lookups: number;
}

let folder: string;
let natsPort: number;
let nats: PrivateServer;
let identityBus: JetStreamBus;
let identity: ModuleUnderTest;
let server: GrpcServer;
let replicas: Replica[];
let owner: { readonly organizationId: string; readonly secret: string };

const connectBus = (name: string): Promise<JetStreamBus> =>
  JetStreamBus.connect({ servers: [`nats://127.0.0.1:${natsPort}`], name, clock, log });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "revocation-"));
  natsPort = await freePort();
  nats = await startNatsServer({ folder, port: natsPort });
  identityBus = await connectBus("identity");
  identity = await startModule(identityModule, "sqlite", {
    clock,
    bus: identityBus,
    credentials: ({ database, bus }) =>
      new CachingCredentialVerifier({
        lookups: ownCredentials(database, clock),
        clock,
        broadcasts: bus,
        log,
      }),
  });
  server = await startGrpcServer({ dispatchers: [identity.dispatcher], host: "127.0.0.1", port: 0, log });
  replicas = await Promise.all([replica("events-1"), replica("events-2")]);
  owner = await createOrganizationDirect(identity.database, { clock, ids: randomIds, name: "Acme" });
});
afterEach(async () => {
  for (const { bus, caller, verifier } of replicas) {
    verifier.close();
    caller.close();
    await bus.close();
  }
  await server.stop(0);
  await identity.close();
  await identityBus.close();
  await nats.kill();
  await rm(folder, { recursive: true, force: true });
});

async function replica(name: string): Promise<Replica> {
  const bus = await connectBus(name);
  const caller = grpcCaller({ address: server.address });
  const client = createClient(CredentialService, withServiceToken(caller, identity.tokensOf("events")));
  const lookup = remoteApiKeyLookup(client, clock);
  const counted: Replica = {
    bus,
    caller,
    lookups: 0,
    verifier: new CachingCredentialVerifier({
      lookups: [
        apiKeyCredentials((hash) => {
          counted.lookups += 1;
          return lookup(hash);
        }),
      ],
      clock,
      broadcasts: bus,
      log,
    }),
  };
  return counted;
}

const keys = () => identity.client(ApiKeyService, { key: owner.secret });

async function newKey(): Promise<{ id: string; secret: string }> {
  const { apiKey, secret } = await keys().createApiKey({ name: "k", scopes: ["events.write"] });
  return { id: apiKey?.id ?? "", secret };
}

async function isKnown({ verifier }: Replica, secret: string): Promise<boolean> {
  return (await verifier.verify(secret)) !== undefined;
}

/** Resolves once every replica has verified the key after the first beat, which distrusts earlier verifications. */
async function cachedEverywhere(secret: string): Promise<void> {
  await clock.sleep(1_200);
  for (const one of replicas) expect(await isKnown(one, secret)).toBe(true);
}

test("every replica honors every revocation within a second", async () => {
  const made = await Promise.all(Array.from({ length: REVOCATIONS }, newKey));
  for (const { secret } of made) for (const one of replicas) await one.verifier.verify(secret);
  const delaysMs: number[] = [];
  for (const { id, secret } of made) {
    await keys().deleteApiKey({ apiKeyId: id });
    const sinceMs = clock.monotonicMs();
    for (const one of replicas) await waitFor(async () => !(await isKnown(one, secret)));
    delaysMs.push(clock.monotonicMs() - sinceMs);
  }
  expect(delaysMs).toHaveLength(REVOCATIONS);
  expect(Math.max(...delaysMs)).toBeLessThan(1_000);
});

test("a revocation that was never announced is honored after the next beat", async () => {
  const { id, secret } = await newKey();
  await cachedEverywhere(secret);
  // The process that deletes dies between the commit and the announcement.
  const silent = identityBus.broadcast.bind(identityBus);
  identityBus.broadcast = (topic, payload) => {
    if (topic !== "credentials.revoked") silent(topic, payload);
  };
  await keys().deleteApiKey({ apiKeyId: id });
  const sinceMs = clock.monotonicMs();
  for (const one of replicas) await waitFor(async () => !(await isKnown(one, secret)));
  expect(clock.monotonicMs() - sinceMs).toBeLessThan(4_000);
});

test("without a broker, a revocation is honored once the verification is five seconds old", async () => {
  const { id, secret } = await newKey();
  await cachedEverywhere(secret);
  await nats.kill();
  await keys().deleteApiKey({ apiKeyId: id });
  for (const one of replicas) {
    await waitFor(async () => !(await isKnown(one, secret)), { timeoutMs: 10_000 });
  }
});

test("identity gone: known keys work, unknown ones are unavailable, a revoked one stays refused", async () => {
  const [kept, revoked] = [await newKey(), await newKey()];
  await cachedEverywhere(kept.secret);
  for (const one of replicas) await one.verifier.verify(revoked.secret);
  await keys().deleteApiKey({ apiKeyId: revoked.id });
  for (const one of replicas) await waitFor(async () => !(await isKnown(one, revoked.secret)));
  await server.stop(0);
  await identity.stop();
  // Long enough that the beats are missed and the verification is no longer fresh.
  await clock.sleep(5_500);

  const away = { reason: "UNAVAILABLE", retryAfterMs: 1_000 };
  for (const one of replicas) {
    expect(await isKnown(one, kept.secret)).toBe(true);
    expect(await isKnown(one, revoked.secret)).toBe(false);
    await expect(one.verifier.verify(newApiKeySecret())).rejects.toMatchObject(away);
    await expect(one.verifier.verify(kept.secret, { sensitive: true })).rejects.toMatchObject(away);
  }
});
