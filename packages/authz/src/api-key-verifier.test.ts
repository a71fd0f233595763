import type { ApiKeyId, Clock, OrganizationId } from "@muster/core";
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { beforeEach, describe, expect, test } from "vitest";
import { hashApiKey, newApiKeySecret } from "./api-key.ts";
import {
  type ApiKeyRecord,
  type BroadcastSource,
  CachingApiKeyVerifier,
  CREDENTIALS_REVOKED_TOPIC,
} from "./api-key-verifier.ts";
import { type CredentialClient, remoteApiKeyLookup, unknownApiKey } from "./remote-api-key-lookup.ts";

const START_MS = Date.UTC(2030, 0, 1);
const RECORD: ApiKeyRecord = {
  id: "0190a5b4-0000-7000-8000-000000000001" as ApiKeyId,
  organizationId: "0190a5b4-0000-7000-8000-0000000000aa" as OrganizationId,
  scopes: ["events.write"],
  expireTimeMs: undefined,
};

/** Responds to look-ups as the test sets it up, and counts them. */
class Directory {
  readonly records = new Map<string, ApiKeyRecord>();
  readonly held: (() => void)[] = [];
  holding = false;
  failing: Error | undefined;
  calls = 0;

  readonly lookup = async (hash: Uint8Array): Promise<ApiKeyRecord | undefined> => {
    this.calls += 1;
    const response = this.records.get(Buffer.from(hash).toString("hex"));
    const failure = this.failing;
    if (this.holding) await new Promise<void>((resolve) => this.held.push(resolve));
    if (failure !== undefined) throw failure;
    return response;
  };

  put(key: string, record: ApiKeyRecord): void {
    this.records.set(hashApiKey(key).toString("hex"), record);
  }

  letGo(): void {
    for (const resolve of this.held.splice(0)) resolve();
  }
}

class Broadcasts implements BroadcastSource {
  readonly handlers = new Set<(payload: Uint8Array) => void>();

  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void {
    expect(topic).toBe(CREDENTIALS_REVOKED_TOPIC);
    this.handlers.add(handler);
    return () => this.handlers.delete(handler);
  }

  revoke(payload: Uint8Array): void {
    for (const handler of this.handlers) handler(payload);
  }
}

let clock: Clock & { ms: number };
let directory: Directory;
let broadcasts: Broadcasts;
let verifier: CachingApiKeyVerifier;
const key = newApiKeySecret();

beforeEach(() => {
  const settable = {
    ms: START_MS,
    nowMs: () => settable.ms,
    monotonicMs: () => settable.ms,
    sleep: () => Promise.resolve(),
  };
  clock = settable;
  directory = new Directory();
  broadcasts = new Broadcasts();
  verifier = new CachingApiKeyVerifier({ lookup: directory.lookup, clock, broadcasts });
  directory.put(key, RECORD);
});

describe("CachingApiKeyVerifier", () => {
  test("a key gives its organization and exactly its scopes", async () => {
    const principal = await verifier.verify(key);
    expect(principal).toMatchObject({
      kind: "api_key",
      id: RECORD.id,
      organizationId: RECORD.organizationId,
    });
    expect(principal?.permissions.has("events.write")).toBe(true);
    expect(principal?.permissions.has("events.read")).toBe(false);
    expect(principal?.permissions.has("*")).toBe(false);
  });

  test("what cannot be a key is not looked up", async () => {
    for (const text of ["", "mk_", "Bearer x", `${key}A`, key.slice(1), `${key}\n`, "mk_".padEnd(46, "é")]) {
      expect(await verifier.verify(text)).toBeUndefined();
    }
    expect(directory.calls).toBe(0);
  });

  test("a valid key is looked up once a minute", async () => {
    for (let second = 0; second < 60; second += 1) {
      expect(await verifier.verify(key)).toBeDefined();
      clock.ms += 1_000;
    }
    expect(directory.calls).toBe(1);
    clock.ms += 1;
    await verifier.verify(key);
    expect(directory.calls).toBe(2);
  });

  test("a key ends at its expiry, in the middle of its cached minute", async () => {
    directory.put(key, { ...RECORD, expireTimeMs: START_MS + 10_000 });
    expect(await verifier.verify(key)).toBeDefined();
    clock.ms = START_MS + 9_999;
    expect(await verifier.verify(key)).toBeDefined();
    clock.ms = START_MS + 10_000;
    expect(await verifier.verify(key)).toBeUndefined();
    expect(directory.calls).toBe(1);
  });

  test("an unknown key is remembered for a second, and pushes no good one out", async () => {
    await verifier.verify(key);
    const unknown = newApiKeySecret();
    await verifier.verify(unknown);
    await verifier.verify(unknown);
    expect(directory.calls).toBe(2);
    clock.ms += 1_001;
    await verifier.verify(unknown);
    expect(directory.calls).toBe(3);

    for (let index = 0; index < 10_050; index += 1) await verifier.verify(newApiKeySecret());
    const before = directory.calls;
    expect(await verifier.verify(key)).toBeDefined();
    expect(directory.calls).toBe(before);
  });

  test("a hundred requests at once make one call", async () => {
    directory.holding = true;
    const responses = Array.from({ length: 100 }, () => verifier.verify(key));
    directory.letGo();
    const principals = await Promise.all(responses);
    expect(new Set(principals).size).toBe(1);
    expect(principals[0]).toBeDefined();
    expect(directory.calls).toBe(1);
  });

  test("a revocation drops that key at once and no other", async () => {
    const other = newApiKeySecret();
    const otherId = "0190a5b4-0000-7000-8000-000000000002" as ApiKeyId;
    directory.put(other, { ...RECORD, id: otherId });
    await verifier.verify(key);
    await verifier.verify(other);

    directory.records.delete(hashApiKey(key).toString("hex"));
    broadcasts.revoke(uuidToBytes(RECORD.id));

    expect(await verifier.verify(key)).toBeUndefined();
    expect(await verifier.verify(other)).toBeDefined();
    expect(directory.calls).toBe(3);
  });

  test("a revocation during a look-up leaves no stale entry, and nobody joins the old look-up", async () => {
    directory.holding = true;
    const early = verifier.verify(key);
    directory.records.delete(hashApiKey(key).toString("hex"));
    broadcasts.revoke(uuidToBytes(RECORD.id));
    const late = verifier.verify(key);
    directory.letGo();

    // The early look-up began before the key ended, so either result is right for it.
    await early;
    expect(await late).toBeUndefined();
    directory.holding = false;
    clock.ms += 1_001;
    expect(await verifier.verify(key)).toBeUndefined();
  });

  test("a failing look-up rejects for all waiting callers and is not cached", async () => {
    directory.failing = new AppError("UNAVAILABLE");
    const both = await Promise.allSettled([verifier.verify(key), verifier.verify(key)]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(directory.calls).toBe(1);
    directory.failing = undefined;
    expect(await verifier.verify(key)).toBeDefined();
  });

  test("a strange broadcast does no harm", async () => {
    await verifier.verify(key);
    broadcasts.revoke(new Uint8Array(0));
    broadcasts.revoke(new Uint8Array(40));
    expect(await verifier.verify(key)).toBeDefined();
    expect(directory.calls).toBe(1);
  });

  test("closed, it listens no more", () => {
    expect(broadcasts.handlers.size).toBe(1);
    verifier.close();
    expect(broadcasts.handlers.size).toBe(0);
  });
});

describe("remoteApiKeyLookup", () => {
  const hash = hashApiKey(key);
  const failing = (error: unknown) =>
    remoteApiKeyLookup({ verifyApiKey: () => Promise.reject(error) }, clock);

  test("translates the response", async () => {
    const verifyApiKey: CredentialClient["verifyApiKey"] = async ({ keyHash }, { deadlineMs }) => {
      expect(keyHash).toEqual(hash);
      expect(deadlineMs).toBe(START_MS + 5_000);
      return {
        apiKeyId: uuidToBytes(RECORD.id),
        organizationId: uuidToBytes(RECORD.organizationId),
        scopes: ["*"],
        expireTimeMs: 0n,
      };
    };
    const lookup = remoteApiKeyLookup({ verifyApiKey }, clock);
    expect(await lookup(hash)).toEqual({ ...RECORD, id: bytesToUuid(uuidToBytes(RECORD.id)), scopes: ["*"] });
  });

  test("only identity's word about the key means unknown", async () => {
    expect(await failing(unknownApiKey())(hash)).toBeUndefined();
    const others = [
      new AppError("UNAUTHENTICATED"),
      new AppError("PERMISSION_DENIED"),
      new AppError("DEADLINE_EXCEEDED"),
      new AppError("INTERNAL"),
      new Error("socket hang up"),
    ];
    for (const error of others) {
      await expect(failing(error)(hash)).rejects.toMatchObject({ reason: "UNAVAILABLE", cause: error });
    }
  });
});
