// Runs the identity module behind its dispatcher, with API keys from its own table.
import { CachingCredentialVerifier } from "@muster/authz";
import type { Bus } from "@muster/bus";
import { randomIds } from "@muster/core";
import type { Engine } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import { createOrganizationDirect, identityModule, ownCredentials } from "@muster/service-identity";
import { FakeClock } from "@muster/testkit";
import { type ModuleParts, ModuleUnderTest, startParts } from "@muster/testkit/module";
import { AccessTokens } from "../src/access-tokens/access-tokens.ts";
import type { SigningKeyDeps } from "../src/signing-keys/rotate-signing-key.ts";
import { signingSealKey } from "../src/signing-keys/rotate-signing-key-direct.ts";

/** Fails after a handler's transaction has committed, as a crash of the process does. */
class CrashingLedger extends IdempotencyLedger {
  override async keep(): Promise<void> {
    throw new Error("the process died before");
  }
  override async release(): Promise<void> {
    throw new Error("the process died before");
  }
}

export interface PublishedEvent {
  readonly type: string;
  readonly data: Uint8Array;
}

export class IdentityUnderTest extends ModuleUnderTest {
  override readonly clock: FakeClock;
  readonly accessTokens: AccessTokens;
  readonly signingKeys: SigningKeyDeps;
  readonly bus: Bus;
  /** Positions already returned, by shard. */
  readonly #published = new Map<number, number>();

  private constructor(parts: ModuleParts, clock: FakeClock) {
    super(parts);
    this.clock = clock;
    const { database, ids, ownKey, bus } = parts.platform;
    this.bus = bus;
    this.signingKeys = { database, clock, ids, sealKey: signingSealKey(ownKey) };
    this.accessTokens = new AccessTokens(this.signingKeys);
  }

  /**
   * With `crashing`, no code runs after a handler's transaction: a response that the transaction did not save
   * is lost.
   */
  static async open(engine: Engine, { crashing = false } = {}): Promise<IdentityUnderTest> {
    const clock = new FakeClock();
    const Ledger = crashing ? CrashingLedger : IdempotencyLedger;
    const parts = await startParts(identityModule, engine, {
      clock,
      credentials: ({ database, bus, log }) =>
        new CachingCredentialVerifier({
          lookups: ownCredentials(database, clock),
          clock,
          broadcasts: bus,
          log,
        }),
      ledger: (platform) => new Ledger({ ...platform, key: platform.key("idempotency") }),
    });
    return new IdentityUnderTest(parts, clock);
  }

  /** The id of a new organization and its first key, which holds every permission. */
  organization(name = "Acme"): Promise<{ readonly organizationId: string; readonly secret: string }> {
    return createOrganizationDirect(this.database, { clock: this.clock, ids: randomIds, name });
  }

  /** The domain events that were published since the last call, in the order of their positions. */
  async publishedSince(): Promise<PublishedEvent[]> {
    const rows: { shard: number; position: number; type: Buffer; data: Buffer }[] = await this.database
      .reader("outbox_messages")
      .select("shard", "position", "type", "data")
      .orderBy(["time_ms", "shard", "position"]);
    const events = rows.filter(({ shard, position }) => position > (this.#published.get(shard) ?? 0));
    for (const { shard, position } of events) this.#published.set(shard, position);
    return events.map(({ type, data }) => ({ type: type.toString("utf8"), data }));
  }

  /** Number of rows per table, to verify that a refused call wrote none. */
  async rowCounts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const table of ["organizations", "api_keys"]) {
      const rows = await this.database.reader(table).select("id");
      counts[table] = rows.length;
    }
    return counts;
  }
}
