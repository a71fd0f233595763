// Runs identity with a broker of its own and processes that verify credentials: the parts of revocation tests.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CachingCredentialVerifier, remoteCredentials } from "@muster/authz";
import { JetStreamBus } from "@muster/bus/jetstream";
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
import { freePort, type PrivateServer, startNatsServer } from "@muster/testkit";
import { ModuleUnderTest, startParts } from "@muster/testkit/module";
import { AccessTokens } from "../src/access-tokens/access-tokens.ts";
import { signingSealKey } from "../src/signing-keys/rotate-signing-key-direct.ts";

const log = createLogger({ level: "silent" });
const clock = systemClock;

/** A process that verifies credentials: its own connections and cache. */
export interface Replica {
  readonly bus: JetStreamBus;
  readonly caller: GrpcCaller;
  readonly verifier: CachingCredentialVerifier;
}

export class RevocationHarness {
  readonly identity: ModuleUnderTest;
  readonly identityBus: JetStreamBus;
  readonly accessTokens: AccessTokens;
  readonly server: GrpcServer;
  readonly nats: PrivateServer;
  readonly natsUrl: string;
  readonly owner: { readonly organizationId: string; readonly secret: string };
  readonly replicas: readonly Replica[];
  readonly #folder: string;

  private constructor(parts: Omit<RevocationHarness, "close"> & { readonly folder: string }) {
    this.identity = parts.identity;
    this.identityBus = parts.identityBus;
    this.accessTokens = parts.accessTokens;
    this.server = parts.server;
    this.nats = parts.nats;
    this.natsUrl = parts.natsUrl;
    this.owner = parts.owner;
    this.replicas = parts.replicas;
    this.#folder = parts.folder;
  }

  static async open(replicaCount: number): Promise<RevocationHarness> {
    const folder = await mkdtemp(join(tmpdir(), "revocation-"));
    const port = await freePort();
    const natsUrl = `nats://127.0.0.1:${port}`;
    const nats = await startNatsServer({ folder, port });
    const identityBus = await connectBus(natsUrl, "identity");
    const parts = await startParts(identityModule, "sqlite", {
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
    const identity = new ModuleUnderTest(parts);
    const { database } = identity;
    const sealKey = signingSealKey(parts.platform.ownKey);
    const server = await startGrpcServer({
      dispatchers: [identity.dispatcher],
      host: "127.0.0.1",
      port: 0,
      log,
    });
    const names = Array.from({ length: replicaCount }, (_, index) => `events-${index + 1}`);
    return new RevocationHarness({
      folder,
      nats,
      natsUrl,
      identity,
      identityBus,
      accessTokens: new AccessTokens({ database, clock, ids: randomIds, sealKey }),
      server,
      owner: await createOrganizationDirect(database, { clock, ids: randomIds, name: "Acme" }),
      replicas: await Promise.all(
        names.map((name) => openReplica(natsUrl, server.address, identity.tokensOf("events"), name)),
      ),
    });
  }

  async close(): Promise<void> {
    for (const replica of this.replicas) await closeReplica(replica);
    await this.server.stop(0);
    await this.identity.close();
    await this.identityBus.close();
    await this.nats.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export async function openReplica(
  natsUrl: string,
  address: string,
  tokens: Parameters<typeof withServiceToken>[1],
  name: string,
): Promise<Replica> {
  const bus = await connectBus(natsUrl, name);
  const caller = grpcCaller({ address });
  const client = createClient(CredentialService, withServiceToken(caller, tokens));
  const lookups = remoteCredentials(client, clock);
  const verifier = new CachingCredentialVerifier({ lookups, clock, broadcasts: bus, log });
  return { bus, caller, verifier };
}

async function closeReplica({ bus, caller, verifier }: Replica): Promise<void> {
  verifier.close();
  caller.close();
  await bus.close();
}

function connectBus(natsUrl: string, name: string): Promise<JetStreamBus> {
  return JetStreamBus.connect({ servers: [natsUrl], name, clock, log });
}
