// Tests that a closing is finished, with nothing left and nothing done twice, wherever its process dies.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { findClosedOrganization, OrganizationEraser } from "@muster/outbox";
import type { Caller, UnaryResponse } from "@muster/rpc";
import { identityModule } from "@muster/service-identity";
import { ENGINES, FakeClock, findInTables, WatchedDatabase, waitFor } from "@muster/testkit";
import { type ModuleParts, ModuleUnderTest, startParts, testLogger } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccessTokens } from "../../src/access-tokens/access-tokens.ts";
import { ClosingWorker } from "../../src/closing/closing-worker.ts";
import { organizationContent } from "../../src/closing/organization-content.ts";
import { createdOrganization } from "../../src/organizations/organization.ts";
import { insertOrganization } from "../../src/organizations/organization-store.ts";
import { readRevocationCount } from "../../src/revocation/revocation-count-store.ts";
import { signingSealKey } from "../../src/signing-keys/rotate-signing-key-direct.ts";
import { signInUser } from "../signed-in-user.ts";

/** A process that starts later finds the lease of the dead process expired. */
const LEASE_MS = 30_000;
const LAST_CHECK_MS = 600_000;
const LAST_SWEEP_MS = 25 * 3_600_000;

/** Another service that erases at the first call, confirms at the second, and has ended at the third. */
class ErasingService implements Caller {
  readonly #calls = new Map<OrganizationId, number>();

  callsFor(id: OrganizationId): number {
    return this.#calls.get(id) ?? 0;
  }

  async unary(method: DescMethod, request: Message): Promise<UnaryResponse> {
    const { organizationId } = request as Message & { readonly organizationId: Uint8Array };
    const id = bytesToUuid<OrganizationId>(organizationId);
    const calls = this.callsFor(id) + 1;
    this.#calls.set(id, calls);
    const progress: Record<string, unknown> = { isErased: calls > 1, isFinal: calls > 2 };
    return { message: create(method.output, progress), headers: new Map() };
  }

  stream(): never {
    throw new Error("identity streams nothing from other services");
  }
}

describe.each(ENGINES)("deaths during a closing on %s", (engine) => {
  const clock = new FakeClock();
  const watched = new WatchedDatabase();
  const services = { events: new ErasingService(), segments: new ErasingService() };
  let parts: ModuleParts;
  let identity: ModuleUnderTest;
  let accessTokens: AccessTokens;

  beforeAll(async () => {
    parts = await startParts(identityModule, engine, { clock, wrap: watched.wrap, callers: services });
    identity = new ModuleUnderTest(parts);
    const { database, ids, ownKey } = parts.platform;
    accessTokens = new AccessTokens({ database, clock, ids, sealKey: signingSealKey(ownKey) });
    // Each test runs these workers itself.
    for (const worker of identity.module.workers) {
      if (worker instanceof ClosingWorker || worker instanceof OrganizationEraser) await worker.stop();
    }
  });
  afterAll(() => identity.close());

  interface Place {
    readonly id: OrganizationId;
    readonly neighbor: OrganizationId;
    /** A member of both organizations. */
    readonly both: UserId;
  }

  /** An organization whose deletion is due, with members, an invited person, a removed member, a session and a key. */
  async function newPlace(): Promise<Place> {
    const { database, ids } = parts.platform;
    const nowMs = clock.nowMs();
    const [id, neighbor] = [ids.next<OrganizationId>(nowMs), ids.next<OrganizationId>(nowMs)];
    await database.transaction(async (trx) => {
      for (const one of [id, neighbor]) {
        const organization = { id: one, name: "Acme", timeZone: "UTC", createTimeMs: nowMs };
        await insertOrganization(trx, createdOrganization(organization));
      }
    });
    const common = { database, accessTokens, nowMs, authenticatedTimeMs: nowMs };
    const { userId, sessionId } = await signInUser({ ...common, organizationId: id, role: "owner" });
    const owner = {
      user: { id: userId, sessionId, organizationId: id, role: "owner", authenticatedMs: nowMs },
    } as const;
    const { userId: both } = await signInUser({ ...common, organizationId: id });
    await signInUser({ ...common, organizationId: neighbor, userId: both });
    const { userId: removed } = await signInUser({ ...common, organizationId: id });
    await identity.call(UserService.method.deleteUser, { userId: removed }, owner);
    const invitation = { email: `${id}@example.com`, role: Role.MEMBER };
    await identity.call(UserService.method.createUser, invitation, owner);
    await identity.call(ApiKeyService.method.createApiKey, { name: "key", scopes: ["users.read"] }, owner);
    await database.transaction((trx) =>
      trx("organizations").where("id", uuidToBytes(id)).update({ delete_time_ms: nowMs }),
    );
    return { id, neighbor, both };
  }

  const sweepsOf = async (id: OrganizationId): Promise<number> =>
    (await findClosedOrganization(parts.platform.database.reader, id))?.sweeps ?? 0;

  /**
   * Starts a process, which closes organizations and sweeps until the sweep has ended, and which may die before a
   * statement.
   */
  async function live(id: OrganizationId, sweeps: number, dieBefore?: number) {
    const ended = Promise.withResolvers<void>();
    const platform = { ...parts.platform, log: { ...logger, warn: () => ended.resolve() } };
    const eraser = new OrganizationEraser({ ...platform, service: "identity", content: organizationContent });
    const worker = new ClosingWorker({ ...platform, eraser });
    let isRunning = true;
    const process = async (): Promise<void> => {
      await worker.step();
      await eraser.start();
      await ended.promise;
    };
    const run = watched.during(process, dieBefore).finally(() => {
      isRunning = false;
    });
    const sweep = async (): Promise<boolean> => {
      await clock.advance(100);
      if ((await sweepsOf(id)) === sweeps) ended.resolve();
      return !isRunning;
    };
    await waitFor(sweep, { timeoutMs: 30_000, what: `the process that dies before ${dieBefore}` });
    await eraser.stop();
    return run;
  }

  const later = (ms: number): void => clock.setNowMs(clock.nowMs() + ms);

  async function expectErased({ id, neighbor, both }: Place): Promise<void> {
    const { reader } = identity.database;
    const records = await findInTables(identity.database, uuidToBytes(id));
    expect(records).toEqual([
      "closed_organizations.organization_id",
      "organization_closings.organization_id",
    ]);
    expect(await findInTables(identity.database, `${id}@example.com`)).toEqual([]);
    const rows = (table: string) => reader(table).where("organization_id", uuidToBytes(neighbor));
    expect(await rows("memberships")).toHaveLength(1);
    expect(await rows("sessions")).toHaveLength(1);
    expect(await reader("users").where("id", uuidToBytes(both))).toHaveLength(1);
  }

  /** Both other services confirm the end, and the second sweep finds nothing. Later rounds do nothing. */
  async function expectEnd({ id }: Place): Promise<void> {
    for (let round = 0; round < 5; round += 1) {
      later(LAST_CHECK_MS);
      await live(id, 1);
    }
    const calls = Object.values(services).map((service) => service.callsFor(id));
    // A process that died after a call, and before it stored the response, calls again.
    for (const count of calls) expect([3, 4]).toContain(count);
    later(LAST_SWEEP_MS);
    await live(id, 2);
    later(LAST_SWEEP_MS);
    await live(id, 2);
    expect(await findInTables(identity.database, uuidToBytes(id))).toEqual([
      "closed_organizations.organization_id",
    ]);
    expect(Object.values(services).map((service) => service.callsFor(id))).toEqual(calls);
  }

  test("before any kind of statement", { timeout: 240_000 }, async () => {
    const whole = await newPlace();
    const { outcome, statements } = await live(whole.id, 1);
    expect(outcome.status).toBe("fulfilled");
    await expectErased(whole);
    await expectEnd(whole);
    const deaths = firstOfEach(statements);
    expect(deaths.length).toBeGreaterThan(25);
    // The steps are the same on both engines, and MariaDB takes longer, so half of the deaths are enough there.
    const chosen = deaths.filter((_, index) => engine === "sqlite" || index % 2 === 0);
    let died = 0;
    for (const dieBefore of chosen) {
      const place = await newPlace();
      const revocations = await readRevocationCount(identity.database.reader);
      const { isDead, statements: made } = await live(place.id, 1, dieBefore);
      // The sweep reads the position of the relay until the relay has published, so the last statements may come earlier.
      if (isDead) died += 1;
      else expect(made.length).toBeLessThanOrEqual(dieBefore);
      later(LEASE_MS);
      await live(place.id, 1);
      expect(await sweepsOf(place.id)).toBe(1);
      await expectErased(place);
      expect(await readRevocationCount(identity.database.reader)).toBe(revocations + 1);
    }
    expect(died).toBeGreaterThan(chosen.length / 2);
  });
});

const logger = testLogger();

/** The first statement of each text: a sweep repeats statements for each shard, and transactions roll back as a whole. */
function firstOfEach(statements: readonly string[]): number[] {
  return [...new Set(statements)].map((sql) => statements.indexOf(sql));
}
