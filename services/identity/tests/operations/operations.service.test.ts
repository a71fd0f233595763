// Tests operations: leases and fencing, resuming after a crash, retries, giving up, expiry, and who may read one.
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { type OrganizationId, randomIds, type SessionId, type UserId, uuidToBytes } from "@muster/core";
import { identityModule } from "@muster/service-identity";
import { ENGINES, FakeClock, findInTables, waitFor } from "@muster/testkit";
import { expectReason, type ModuleUnderTest, startModule, testLogger } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LeaseLost, type NewOperation, OperationFailed } from "../../src/operations/operation.ts";
import { newOperationToProto, operationToProto } from "../../src/operations/operation-proto.ts";
import { OperationStore } from "../../src/operations/operation-store.ts";
import {
  type OperationRun,
  type OperationRunner,
  OperationWorker,
} from "../../src/operations/operation-worker.ts";

const { getOperation } = OperationService.method;
const DAY_MS = 86_400_000;
const KIND = "test_work";
const operations = new OperationStore(new Uint8Array(32).fill(9));

describe.each(ENGINES)("operations on %s", (engine) => {
  let identity: ModuleUnderTest;
  let clock: FakeClock;

  beforeAll(async () => {
    clock = new FakeClock();
    identity = await startModule(identityModule, engine, { clock });
  });
  afterAll(() => identity.close());

  async function begin(overrides: Partial<NewOperation> = {}): Promise<NewOperation> {
    const operation: NewOperation = {
      id: randomIds.next(clock.nowMs()),
      kind: KIND,
      organizationId: undefined,
      requester: { kind: "user", id: randomIds.next(0) },
      permission: undefined,
      input: { subject: "Ada" },
      createTimeMs: clock.nowMs(),
      ...overrides,
    };
    await identity.database.transaction((trx) => operations.insert(trx, operation));
    return operation;
  }

  function worker(run: OperationRunner["run"], more: Omit<OperationRunner, "run"> = {}): OperationWorker {
    const runner = { run, ...more };
    const { database } = identity;
    const runners = new Map([[KIND, runner]]);
    return new OperationWorker({ database, clock, log: testLogger(), exclusive: false, operations, runners });
  }

  const read = (id: string) => operations.find(identity.database.reader, id);
  const stateOf = async (id: string) => (await read(id))?.state;

  function finish({ operation }: OperationRun, result?: Record<string, unknown>): Promise<void> {
    const end = { nowMs: clock.nowMs(), ...(result === undefined ? {} : { result }) };
    return identity.database.transaction((trx) => operations.finish(trx, operation, end));
  }

  function claim(untilMs: number) {
    const nowMs = clock.nowMs();
    return identity.database.transaction((trx) => operations.claim(trx, [KIND], { nowMs, untilMs }));
  }

  test("a worker runs an operation to its result, which is sealed like the input", async () => {
    const begun = await begin({ input: { subject: "Ada Lovelace" } });
    const { id } = begun;
    const stored = await read(id);
    expect(stored && operationToProto(stored)).toEqual(newOperationToProto(begun));
    expect(await findInTables(identity.database, "Ada Lovelace")).toEqual([]);
    const seen: unknown[] = [];
    const running = worker(async (run) => {
      seen.push(run.operation.input, await stateOf(id));
      await run.renew({ progress: 40.5 });
      seen.push((await read(id))?.progress);
      await finish(run, { size: 7, token: "of-the-result" });
    });
    await running.start();
    await waitFor(async () => (await stateOf(id)) === "succeeded");
    await running.stop();
    expect(seen).toEqual([{ subject: "Ada Lovelace" }, "running", 40]);
    expect(await read(id)).toMatchObject({ progress: 100, result: { size: 7, token: "of-the-result" } });
    expect(await findInTables(identity.database, "of-the-result")).toEqual([]);
  });

  test("the work of a worker that died continues from its last saved input, after the lease", async () => {
    const { id } = await begin();
    const dead = await claim(clock.nowMs() + 60_000);
    if (dead === undefined) throw new Error("no operation is due");
    await identity.database.transaction((trx) =>
      operations.renew(trx, dead, { untilMs: clock.nowMs() + 60_000, progress: 50, input: { step: 2 } }),
    );
    expect(await claim(clock.nowMs() + 60_000)).toBeUndefined();
    clock.setNowMs(clock.nowMs() + 60_000);
    const inputs: unknown[] = [];
    const running = worker(async (run) => {
      inputs.push(run.operation.input);
      await finish(run);
    });
    await running.start();
    await waitFor(async () => (await stateOf(id)) === "succeeded");
    await running.stop();
    expect(inputs).toEqual([{ step: 2 }]);
    // The frozen worker wakes up: nothing that it writes counts.
    const write = (body: (trx: Parameters<typeof operations.finish>[0]) => Promise<void>) =>
      identity.database.transaction(body);
    const nowMs = clock.nowMs();
    await expect(write((trx) => operations.finish(trx, dead, { nowMs }))).rejects.toThrow(LeaseLost);
    await expect(write((trx) => operations.renew(trx, dead, { untilMs: nowMs }))).rejects.toThrow(LeaseLost);
    await expect(write((trx) => operations.release(trx, dead, { dueMs: 0 }))).rejects.toThrow(LeaseLost);
    const failure = { nowMs, reason: "INTERNAL" } as const;
    await expect(write((trx) => operations.fail(trx, dead, failure))).rejects.toThrow(LeaseLost);
    expect(await stateOf(id)).toBe("succeeded");
  });

  test("two claims at once give one lease", async () => {
    const { id } = await begin();
    const untilMs = clock.nowMs() + 60_000;
    const claims = await Promise.all([claim(untilMs), claim(untilMs)]);
    expect(claims.filter((one) => one !== undefined).map((one) => one?.id)).toEqual([id]);
    const [lease] = claims.filter((one) => one !== undefined);
    if (lease === undefined) return;
    await identity.database.transaction((trx) => operations.finish(trx, lease, { nowMs: clock.nowMs() }));
  });

  test("a failed attempt is repeated later; an operation that is given up leaves nothing behind", async () => {
    const { id } = await begin();
    const discarded: string[] = [];
    let attempts = 0;
    const running = worker(
      async () => {
        attempts += 1;
        if (attempts === 1) throw new Error("the database does not respond");
        throw new OperationFailed("TOO_LARGE");
      },
      { discard: async (_, operation) => void discarded.push(operation.id) },
    );
    await running.start();
    await waitFor(
      async () => (await identity.database.reader("operations").where("failures", 1)).length === 1,
    );
    expect(await stateOf(id)).toBe("running");
    await waitFor(async () => {
      await clock.advance(1_000);
      return (await stateOf(id)) === "failed";
    });
    await running.stop();
    expect(discarded).toEqual([id]);
    expect(await read(id)).toMatchObject({ failure: "TOO_LARGE", result: undefined });
  });

  test("an operation that never gives up succeeds after any number of failures", async () => {
    const { id } = await begin();
    const rows = () => identity.database.reader("operations").where({ id: uuidToBytes(id), failures: 20 });
    await identity.database.transaction((trx) =>
      trx("operations").where("id", uuidToBytes(id)).update({ failures: 19 }),
    );
    let attempts = 0;
    const running = worker(
      async (run) => {
        attempts += 1;
        if (attempts === 1) throw new Error("the database does not respond");
        await finish(run);
      },
      { neverGivesUp: true },
    );
    await running.start();
    await waitFor(async () => (await rows()).length === 1);
    clock.setNowMs(clock.nowMs() + 5 * 60_000);
    running.wake();
    await waitFor(async () => (await stateOf(id)) === "succeeded");
    await running.stop();
    expect(attempts).toBe(2);
  });

  test("a worker that stops passes the operation on at once", async () => {
    const { id } = await begin();
    let hasBegun = false;
    const stopping = worker(async (run) => {
      hasBegun = true;
      while (true) await run.renew();
    });
    await stopping.start();
    await waitFor(() => hasBegun);
    await stopping.stop();
    const next = await claim(clock.nowMs() + 60_000);
    expect(next).toMatchObject({ id, fencingToken: 2, failures: 0 });
    if (next === undefined) return;
    await identity.database.transaction((trx) => operations.finish(trx, next, { nowMs: clock.nowMs() }));
  });

  test("an operation is deleted 30 days after its end, and not before its end", async () => {
    const open = await begin({ dueTimeMs: clock.nowMs() + 365 * DAY_MS });
    const { id } = await begin();
    const lease = await claim(clock.nowMs() + 60_000);
    if (lease === undefined) throw new Error("no operation is due");
    await identity.database.transaction((trx) => operations.finish(trx, lease, { nowMs: clock.nowMs() }));
    const sweeper = worker(async () => {});
    clock.setNowMs(clock.nowMs() + 30 * DAY_MS - 1);
    await sweeper.sweep();
    expect(await stateOf(id)).toBe("succeeded");
    clock.setNowMs(clock.nowMs() + 1);
    await sweeper.sweep();
    expect(await stateOf(id)).toBeUndefined();
    expect(await stateOf(open.id)).toBe("pending");
  });

  test("the requester reads an operation, and who holds its permission in the organization; nobody else", async () => {
    const organizationId = randomIds.next<OrganizationId>(0);
    const elsewhere = randomIds.next<OrganizationId>(0);
    const userId = randomIds.next<UserId>(0);
    const dueTimeMs = clock.nowMs() + 365 * DAY_MS;
    const requester = { kind: "user", id: userId } as const;
    const permission = "users.update";
    const { id: operationId } = await begin({ organizationId, requester, permission, dueTimeMs });
    const user = (id: UserId, role: "admin" | "member" | undefined, of: OrganizationId | undefined) => ({
      user: { id, sessionId: randomIds.next<SessionId>(0), organizationId: of, role },
    });
    const stranger = randomIds.next<UserId>(0);
    const readers = [
      user(userId, "member", organizationId),
      user(userId, undefined, undefined),
      user(stranger, "admin", organizationId),
      { organizationId, scopes: [permission] },
    ];
    for (const as of readers) {
      const { operation } = await identity.call(getOperation, { operationId }, as);
      expect(operation).toMatchObject({ id: operationId, kind: KIND, progress: 0 });
    }
    const others = [
      user(stranger, "member", organizationId),
      user(stranger, "admin", elsewhere),
      user(stranger, undefined, undefined),
      { organizationId, scopes: ["users.read"] },
      { organizationId: elsewhere },
    ];
    for (const as of others) {
      await expectReason(identity.call(getOperation, { operationId }, as), "OPERATION_NOT_FOUND");
    }
    for (const id of ["", "nonsense", randomIds.next(0), operationId.toUpperCase()]) {
      await expectReason(identity.call(getOperation, { operationId: id }, readers[0]), "OPERATION_NOT_FOUND");
    }
    const own = await begin({ requester, dueTimeMs });
    await expectReason(
      identity.call(getOperation, { operationId: own.id }, { organizationId }),
      "OPERATION_NOT_FOUND",
    );
  });
});
