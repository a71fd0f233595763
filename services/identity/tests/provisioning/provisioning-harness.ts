// Runs the identity module for tests of provisioning, with partners who sign requests.
import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { partnerDigest } from "@muster/authz";
import {
  ProvisioningService,
  type ProvisionOrganizationResponse,
} from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { bytesToUuid, randomIds, uuidToBytes } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Caller, UnaryResponse } from "@muster/rpc";
import { createPartnerDirect } from "@muster/service-identity";
import { CrashingDatabase } from "@muster/testkit";
import type { CreatedPartner } from "../../src/partners/create-partner-direct.ts";
import { AccountHarness } from "../accounts/account-harness.ts";

const { provisionOrganization } = ProvisioningService.method;
/** The key of the module under test. */
const TEST_KEY = new Uint8Array(32).fill(9);

export interface Content {
  readonly externalId: string;
  readonly organizationName: string;
  readonly ownerEmail: string;
  readonly ownerName: string;
}

/** The part of the segments service that identity calls. Fails, or waits, as a test wants. */
export class SegmentsStandIn implements Caller {
  /** The organizations with segments. */
  readonly provisioned = new Set<string>();
  readonly erased = new Set<string>();
  calls = 0;
  before: () => Promise<void> = async () => {};
  after: () => Promise<void> = async () => {};

  async unary(method: DescMethod, request: Message): Promise<UnaryResponse> {
    const { organizationId } = request as Message & { readonly organizationId: Uint8Array };
    const id = bytesToUuid(organizationId);
    if (method.name === "EraseOrganization") {
      this.erased.add(id);
      this.provisioned.delete(id);
    } else {
      this.calls += 1;
      await this.before();
      if (!this.erased.has(id)) this.provisioned.add(id);
      await this.after();
    }
    return { message: create(method.output), headers: new Map() };
  }

  stream(): never {
    throw new Error("identity streams nothing from segments");
  }
}

export type Crash = CrashingDatabase["crashes"][number];

/** Fails chosen transactions of one call, without those of workers. */
class Crashes {
  readonly #calls = new AsyncLocalStorage<Crash[]>();

  during<T>(crashes: readonly Crash[], call: () => Promise<T>): Promise<T> {
    return this.#calls.run([...crashes], call);
  }

  wrap = (database: Database): Database => {
    const crashing = new CrashingDatabase();
    const wrapped = crashing.wrap(database);
    return {
      ...wrapped,
      transaction: (body, options) => {
        const crash = this.#calls.getStore()?.shift();
        if (crash === undefined) return database.transaction(body, options);
        crashing.crashes = [crash];
        return wrapped.transaction(body, options);
      },
    };
  };
}

export class ProvisioningHarness {
  readonly identity: AccountHarness;
  readonly segments: SegmentsStandIn;
  readonly crashes: Crashes;
  #contents = 0;

  private constructor(identity: AccountHarness, segments: SegmentsStandIn, crashes: Crashes) {
    this.identity = identity;
    this.segments = segments;
    this.crashes = crashes;
  }

  static async open(engine: Engine): Promise<ProvisioningHarness> {
    const segments = new SegmentsStandIn();
    const crashes = new Crashes();
    const identity = await AccountHarness.open(engine, { callers: { segments }, wrap: crashes.wrap });
    return new ProvisioningHarness(identity, segments, crashes);
  }

  /** A process that starts on the same data, as the only one. */
  restarted(engine: Engine): Promise<AccountHarness> {
    const { identity, segments } = this;
    const options = { beside: identity, callers: { segments }, exclusive: true };
    return AccountHarness.open(engine, options, identity.clock);
  }

  /** Runs a round of a worker. */
  async step(name: "provisioning-worker" | "closing-worker"): Promise<void> {
    const worker = this.identity.module.workers.find((one) => one.name === name);
    await (worker as unknown as { step(): Promise<void> }).step();
  }

  close(): Promise<void> {
    return this.identity.close();
  }

  partner(name = "Alliance"): Promise<CreatedPartner> {
    const { database, clock } = this.identity;
    return createPartnerDirect({ database, clock, ids: randomIds, ownKey: () => TEST_KEY }, name);
  }

  /** A request that no other call returns. */
  content(changes: Partial<Content> = {}): Content {
    this.#contents += 1;
    return {
      externalId: `customer-${this.#contents}`,
      organizationName: "Corner Shop",
      ownerEmail: this.identity.newAddress(),
      ownerName: "Ada",
      ...changes,
    };
  }

  async provision(
    partner: Pick<CreatedPartner, "key" | "secret">,
    content: Content,
    identity = this.identity,
  ): Promise<ProvisionOrganizationResponse> {
    const rawBody = Buffer.from(JSON.stringify(content));
    const time = String(Math.floor(identity.clock.nowMs() / 1000));
    const digest = partnerDigest(partner.secret, time, rawBody).toString("hex");
    const headers = { "x-api-key": partner.key, "x-signature": `t=${time},v1=${digest}` };
    return identity.call(provisionOrganization, { ...content, rawBody }, { service: "gateway", headers });
  }

  /** Number of rows of each table that a provisioning writes. */
  async rows(): Promise<Record<string, number>> {
    const { reader } = this.identity.database;
    const counts: Record<string, number> = {};
    for (const table of TABLES) counts[table] = (await reader(table).select(reader.raw("1"))).length;
    return counts;
  }

  /** Whether an organization is here and in segments. */
  async isWhole(response: ProvisionOrganizationResponse): Promise<boolean> {
    const id = response.organization?.id ?? "";
    const { reader } = this.identity.database;
    const rows = await reader("organizations").select("id").where("id", uuidToBytes(id));
    return rows.length === 1 && this.segments.provisioned.has(id);
  }
}

const TABLES = [
  "organizations",
  "users",
  "memberships",
  "member_search_words",
  "invitations",
  "one_time_tokens",
  "provisionings",
  "outbox_messages",
];

export const unavailable = async (): Promise<never> => {
  throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000 });
};
