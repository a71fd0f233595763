// Tests the Idempotency-Key with the real ledger, at every mount.
import { create } from "@bufbuild/protobuf";
import {
  ApiKeyService,
  CreateApiKeyRequestSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { randomIds, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { IdempotencyLedger } from "@muster/idempotency";
import { openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Mounted, mounts } from "./mounts.ts";
import { newKey, type TestModule, testModule } from "./test-module.ts";

const MIGRATIONS = new URL("./migrations/", import.meta.url);

describe.each(Object.keys(mounts))("%s", (name) => {
  let opened: TestDatabase;
  let module: TestModule;
  let mounted: Mounted;
  let requests = 0;

  beforeAll(async () => {
    opened = await openTestDatabase("sqlite", MIGRATIONS);
    const { database } = opened;
    const ledger = new IdempotencyLedger({
      database,
      clock: systemClock,
      ids: randomIds,
      key: new Uint8Array(32).fill(7),
    });
    module = testModule({ ledger, database });
    const mount = mounts[name];
    if (mount === undefined) throw new Error(name);
    mounted = await mount(module);
  });
  afterAll(async () => {
    await mounted.close();
    await opened.close();
  });
  beforeEach(() => {
    module.observed.calls.length = 0;
  });

  /** Each call has its own request id, which the response repeats. */
  async function call(name: string, key: string, apiKey = "writer", signal = new AbortController().signal) {
    requests += 1;
    const { message, headers } = await mounted.caller.unary(
      ApiKeyService.method.createApiKey,
      create(CreateApiKeyRequestSchema, newKey(name)),
      {
        headers: new Map([
          ["authorization", `Bearer ${apiKey}`],
          ["idempotency-key", key],
          ["x-request-id", `request-${requests}`],
        ]),
        signal,
      },
    );
    return {
      requestId: (message as unknown as { secret: string }).secret,
      isReplayed: headers.get("idempotency-replayed") === "true",
    };
  }

  async function refused(promise: Promise<unknown>): Promise<AppError> {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(AppError);
    return error as AppError;
  }

  const effects = async (): Promise<string[]> => {
    const rows = await opened.database.reader("effects").select<{ name: Buffer }[]>("name");
    return rows.map((row) => row.name.toString());
  };

  test("the same key and body gets the first response, whether or not a transaction saved it", async () => {
    for (const name of ["Acme", "stored once"]) {
      const first = await call(name, name);
      expect(first.isReplayed).toBe(false);
      expect(await call(name, name)).toEqual({
        requestId: first.requestId,
        isReplayed: true,
      });
    }
    expect(module.observed.calls).toHaveLength(2);
    expect(await effects()).toEqual(["stored once"]);
  });

  test("keys are of one caller, and another body is refused", async () => {
    await call("Acme", "k-2");
    expect(await refused(call("Other", "k-2"))).toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    expect((await refused(call("Acme", "k-2", "reader"))).reason).toBe("PERMISSION_DENIED");
  });

  test("a user is another caller in each organization", async () => {
    const first = await call("Acme", "k-of-ada", "ada-a");
    expect(await call("Acme", "k-of-ada", "ada-b")).toMatchObject({ isReplayed: false });
    expect(await call("Acme", "k-of-ada", "ada-a")).toEqual({ ...first, isReplayed: true });
  });

  test("a business error is kept, with the id of the request that first got it", async () => {
    const first = await refused(call("fails", "k-3"));
    const second = await refused(call("fails", "k-3"));
    expect(first).toMatchObject({ reason: "EVENT_CONFLICT", replayed: false });
    expect(second).toMatchObject({
      reason: "EVENT_CONFLICT",
      replayed: true,
      requestId: first.requestId,
      fields: first.fields,
      details: first.details,
    });
    expect(module.observed.calls).toHaveLength(1);
  });

  test("a failure frees the key and leaves nothing behind", async () => {
    for (const name of ["rejects", "stored, then fails"]) {
      expect((await refused(call(name, name))).reason).toBe("INTERNAL");
      expect((await refused(call(name, name))).reason).toBe("INTERNAL");
    }
    expect(module.observed.calls).toHaveLength(4);
    expect(await effects()).not.toContain("stored, then fails");
  });

  test("a second call while the first runs gets a retry time; aborting the first frees the key", async () => {
    const controller = new AbortController();
    const first = refused(call("waits", "k-5", "writer", controller.signal));
    await waitFor(() => module.observed.calls.length === 1);
    expect(await refused(call("waits", "k-5"))).toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
    expect(module.observed.calls).toHaveLength(1);
    controller.abort();
    expect((await first).reason).toBe("CANCELED");
    const isFree = () => call("Other", "k-5").then(Boolean, () => false);
    await waitFor(isFree);
  });

  test.each(["", "x".repeat(256), "tab\tkey"])("a key like %j is refused", async (key) => {
    const error = await refused(call("Acme", key));
    expect(error).toMatchObject({ reason: "FIELD_INVALID", fields: [{ field: "Idempotency-Key" }] });
    expect(module.observed.calls).toEqual([]);
  });

  test("20 at once have one effect", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => call("stored by 20", "k-7")));
    const responses = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(new Set(responses.map((response) => response.requestId)).size).toBe(1);
    expect(responses.filter((response) => !response.isReplayed)).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
    }
  });
});

test("without a ledger a key is refused rather than ignored", async () => {
  const { dispatcher } = testModule();
  const headers = new Map([
    ["authorization", "Bearer writer"],
    ["idempotency-key", "k"],
  ]);
  const request = create(CreateApiKeyRequestSchema, newKey("Acme"));
  const { signal } = new AbortController();
  const call = dispatcher.unary(ApiKeyService.method.createApiKey, request, { headers, signal });
  await expect(call).rejects.toMatchObject({ reason: "UNIMPLEMENTED" });
});
