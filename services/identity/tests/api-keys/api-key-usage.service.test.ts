// Tests the usage of API keys: reports of several processes, repeats, dates, unknown keys, other organizations, the end.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type AddApiKeyUsage, ApiKeyUsageReporter, remoteApiKeyUsage } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { randomIds, uuidToBytes } from "@muster/core";
import { createClient, withServiceToken } from "@muster/rpc";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason, testLogger } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dayOf } from "../../src/login-counts/login-window.ts";
import { expiredDataWorker } from "../accounts/expired-data.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";

const { createApiKey, deleteApiKey, getApiKeyUsage, rotateApiKey } = ApiKeyService.method;
const DAY_MS = 86_400_000;
const NOT_FOUND = "API_KEY_NOT_FOUND";

interface Key {
  readonly id: string;
  readonly secret: string;
}

describe.each(ENGINES)("usage of API keys on %s", (engine) => {
  let identity: IdentityUnderTest;
  let organizationId: string;
  let key: string;
  let add: AddApiKeyUsage;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    const caller = withServiceToken(identity.dispatcher, identity.tokensOf("events"));
    add = remoteApiKeyUsage(createClient(CredentialService, caller), identity.clock);
  });
  afterAll(() => identity.close());
  beforeEach(async () => {
    ({ organizationId, secret: key } = await identity.organization());
  });

  async function issue(as = key): Promise<Key> {
    const request = { name: "A key", scopes: ["events.read"] };
    const { apiKey, secret } = await identity.call(createApiKey, request, { key: as });
    return { id: apiKey?.id ?? "", secret };
  }

  /** A process with its own clock. */
  function processOf(clock = new FakeClock(identity.clock.nowMs()), adding = add): ApiKeyUsageReporter {
    const reporterId = randomIds.next(clock.nowMs());
    return new ApiKeyUsageReporter({ reporterId, add: adding, clock, log: testLogger() });
  }

  const usageOf = (apiKeyId: string, window = "7d", as = key) =>
    identity.call(getApiKeyUsage, { apiKeyId, window }, { key: as });
  async function callsOf(apiKeyId: string, as = key): Promise<number[]> {
    return (await usageOf(apiKeyId, "7d", as)).days.map(({ calls }) => Number(calls));
  }
  const rows = async (): Promise<number> => {
    const own = { organization_id: uuidToBytes(organizationId) };
    return (await identity.database.reader("api_key_usage").where(own).select("day")).length;
  };

  test("one row for each date of the window, zeros too, and the last use", async () => {
    const { id } = await issue();
    const unused = await usageOf(id, "30d");
    expect(unused.days).toHaveLength(30);
    expect(unused.days.at(-1)).toMatchObject({
      date: new Date(identity.clock.nowMs()).toISOString().slice(0, 10),
      calls: 0n,
    });
    expect(unused.lastUsedTime).toBeUndefined();
    expect((await usageOf(id, "90d")).days).toHaveLength(90);
    await expectReason(usageOf(id, "8d"), "FIELD_INVALID", { fields: [{ field: "window" }] });

    const own = await processOf();
    own.count(id);
    own.count(id);
    await own.report();
    expect(await callsOf(id)).toEqual([0, 0, 0, 0, 0, 0, 2]);
    const { secret } = await issue();
    await expectReason(usageOf(id, "7d", secret), "PERMISSION_DENIED");
    const { apiKeys } = await identity.call(ApiKeyService.method.listApiKeys, {}, { key });
    const first = apiKeys.find(({ name }) => name === "First key");
    const { lastUsedTime } = await usageOf(first?.id ?? "");
    expect(lastUsedTime && timestampMs(lastUsedTime)).toBe(identity.clock.nowMs());
  });

  test("two processes that report at once, and a report that runs twice at once", async () => {
    const keys = [await issue(), await issue(), await issue()];
    const [one, two] = [processOf(), processOf()];
    for (let round = 0; round < 5; round += 1) {
      for (const { id } of keys) one.count(id);
      for (const { id } of [...keys].reverse()) two.count(id);
      await Promise.all([one.report(), two.report()]);
    }
    for (const { id } of keys) expect((await callsOf(id)).at(-1)).toBe(10);
    const day = dayOf(identity.clock.nowMs());
    const report = {
      reporterId: randomIds.next(0),
      sequence: 1,
      calls: keys.map(({ id }) => ({ apiKeyId: id, day, calls: 100 })),
    };
    await Promise.all([add(report), add(report), add(report)]);
    for (const { id } of keys) expect((await callsOf(id)).at(-1)).toBe(110);
  });

  test("a report whose response was lost is added once, and so is a late repeat of an earlier one", async () => {
    const { id } = await issue();
    const sent: Parameters<AddApiKeyUsage>[0][] = [];
    let isLost = true;
    const own = processOf(undefined, async (report) => {
      sent.push(report);
      await add(report);
      if (isLost) throw new Error("the response was lost");
    });
    own.count(id);
    await expect(own.report()).rejects.toThrow("lost");
    own.count(id);
    await expect(own.report()).rejects.toThrow("lost");
    isLost = false;
    await own.report();
    expect(sent.map(({ sequence }) => sequence)).toEqual([1, 1, 1, 2]);
    expect((await callsOf(id)).at(-1)).toBe(2);
    // A process that was frozen in the middle of the first attempt continues.
    for (const late of sent) await add(late);
    expect((await callsOf(id)).at(-1)).toBe(2);
  });

  test("a call counts for the date of the process at the time of the call, midnight included", async () => {
    const { id } = await issue();
    const midnight = (dayOf(identity.clock.nowMs()) + 1) * DAY_MS;
    const behind = new FakeClock(midnight - 1);
    const ahead = new FakeClock(midnight);
    const [one, two] = [processOf(behind), processOf(ahead)];
    one.count(id);
    two.count(id);
    await behind.advance(1);
    one.count(id);
    await Promise.all([one.report(), two.report()]);
    // The date is still to come by the clock of identity.
    expect(await callsOf(id)).toEqual([0, 0, 0, 0, 0, 0, 1]);
    identity.clock.setNowMs(midnight);
    expect(await callsOf(id)).toEqual([0, 0, 0, 0, 0, 1, 2]);
  });

  test("unknown and deleted keys, and impossible dates, are left out; the others are added", async () => {
    const [kept, deleted] = [await issue(), await issue()];
    await identity.call(deleteApiKey, { apiKeyId: deleted.id }, { key });
    const day = dayOf(identity.clock.nowMs());
    const entry = (apiKeyId: string, of = day) => ({ apiKeyId, day: of, calls: 1 });
    await add({
      reporterId: randomIds.next(0),
      sequence: 1,
      calls: [
        entry(deleted.id),
        entry(randomIds.next(0)),
        entry(kept.id, day + 2),
        entry(kept.id, day - 90),
        entry(kept.id),
        entry(kept.id, day - 6),
      ],
    });
    expect(await callsOf(kept.id)).toEqual([1, 0, 0, 0, 0, 0, 1]);
    expect(await rows()).toBe(2);
    await expectReason(usageOf(deleted.id), NOT_FOUND);
  });

  test("keys of other organizations are not found, and other services may not report", async () => {
    const { id } = await issue();
    const own = processOf();
    own.count(id);
    await own.report();
    const other = await identity.organization("Other");
    const foreign = await issue(other.secret);
    await expectReason(usageOf(id, "7d", other.secret), NOT_FOUND);
    await expectReason(usageOf(foreign.id), NOT_FOUND);
    await expectReason(usageOf("no id"), NOT_FOUND);
    expect((await callsOf(foreign.id, other.secret)).at(-1)).toBe(0);
    const request = { reporterId: new Uint8Array(16), sequence: 1n, calls: [] };
    const { reportApiKeyUsage } = CredentialService.method;
    await expectReason(identity.call(reportApiKeyUsage, request, { key }), "PERMISSION_DENIED");
    await expectReason(
      identity.call(reportApiKeyUsage, request, { service: "gateway" }),
      "PERMISSION_DENIED",
    );
  });

  test("a rotated key and its successor are counted apart", async () => {
    const { id } = await issue();
    const request = { apiKeyId: id, overlapSeconds: 60 };
    const { apiKey } = await identity.call(rotateApiKey, request, { key });
    const own = processOf();
    own.count(id);
    own.count(id);
    own.count(apiKey?.id ?? "");
    await own.report();
    expect((await callsOf(id)).at(-1)).toBe(2);
    expect((await callsOf(apiKey?.id ?? "")).at(-1)).toBe(1);
  });

  test("a report that arrives after the end of the organization stores nothing", async () => {
    const { id } = await issue();
    const own = processOf();
    own.count(id);
    await identity.database.transaction((trx) =>
      trx("organizations").where("id", uuidToBytes(organizationId)).delete(),
    );
    await own.report();
    expect(await rows()).toBe(0);
  });

  test("counts go after 90 dates and reporters after 90 days, in batches", async () => {
    const keys = await Promise.all(Array.from({ length: 3 }, () => issue()));
    const day = dayOf(identity.clock.nowMs());
    const reporterId = randomIds.next(0);
    const calls = keys.flatMap(({ id }) =>
      Array.from({ length: 90 }, (_, age) => ({ apiKeyId: id, day: day - age, calls: 1 })),
    );
    await add({ reporterId, sequence: 7, calls });
    const worker = expiredDataWorker(identity);
    await worker.sweep();
    expect(await rows()).toBe(270);
    identity.clock.setNowMs(identity.clock.nowMs() + 60 * DAY_MS);
    await worker.sweep();
    expect(await rows()).toBe(90);
    const reporter = { reporter_id: uuidToBytes(reporterId) };
    const reporters = () => identity.database.reader("api_key_usage_reporters").where(reporter).select();
    expect(await reporters()).toHaveLength(1);
    identity.clock.setNowMs(identity.clock.nowMs() + 31 * DAY_MS);
    await worker.sweep();
    expect(await rows()).toBe(0);
    expect(await reporters()).toHaveLength(0);
  });
});
