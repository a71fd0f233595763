import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import type { ApiKeyId, OrganizationId } from "@muster/core";
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { FakeClock, waitFor } from "@muster/testkit";
import { beforeEach, describe, expect, test } from "vitest";
import { hashApiKey, newApiKeySecret } from "./api-key.ts";
import { type ApiKeyRecord, apiKeyCredentials } from "./credential-lookup.ts";
import { CachingCredentialVerifier } from "./credential-verifier.ts";
import { type CredentialClient, remoteApiKeyLookup, unknownApiKey } from "./remote-api-key-lookup.ts";
import {
  CREDENTIALS_BEAT_TOPIC,
  CREDENTIALS_REVOKED_TOPIC,
  encodeBeat,
  encodeRevocation,
} from "./revocation-messages.ts";
import type { BroadcastSource } from "./revocation-monitor.ts";

const START_MS = Date.UTC(2030, 0, 1);
const RECORD: ApiKeyRecord = {
  id: "0190a5b4-0000-7000-8000-000000000001" as ApiKeyId,
  organizationId: "0190a5b4-0000-7000-8000-0000000000aa" as OrganizationId,
  scopes: ["events.write"],
  expireTimeMs: undefined,
  grantUpTo: "admin",
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
  readonly handlers = new Map<string, (payload: Uint8Array) => void>();
  #count = 0;

  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void {
    this.handlers.set(topic, handler);
    return () => this.handlers.delete(topic);
  }

  beat(): void {
    this.send(CREDENTIALS_BEAT_TOPIC, encodeBeat(this.#count));
  }

  revoke(credentialId: string, { hasEnded = true, isLost = false } = {}): void {
    this.#count += 1;
    if (isLost) return;
    this.send(CREDENTIALS_REVOKED_TOPIC, encodeRevocation({ credentialId, hasEnded, count: this.#count }));
  }

  send(topic: string, payload: Uint8Array): void {
    this.handlers.get(topic)?.(payload);
  }
}

const log = createLogger({ level: "silent" });
const GRACE_MS = 120_000;

let clock: FakeClock;
let directory: Directory;
let broadcasts: Broadcasts;
let verifier: CachingCredentialVerifier;
const key = newApiKeySecret();
const other = newApiKeySecret();
const OTHER_ID = "0190a5b4-0000-7000-8000-000000000002" as ApiKeyId;

beforeEach(async () => {
  clock = new FakeClock(START_MS - 1);
  // A cache takes the start of the monotonic time for no time.
  await clock.advance(1);
  directory = new Directory();
  broadcasts = new Broadcasts();
  verifier = new CachingCredentialVerifier({
    lookups: [apiKeyCredentials(directory.lookup)],
    clock,
    broadcasts,
    log,
    graceMs: GRACE_MS,
  });
  directory.put(key, RECORD);
  directory.put(other, { ...RECORD, id: OTHER_ID });
  broadcasts.beat();
});

/** Time with a beat every second. */
async function beats(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await clock.advance(1_000);
    broadcasts.beat();
  }
}

/** Deletes a key in identity. */
function remove(secret: string): void {
  directory.records.delete(hashApiKey(secret).toString("hex"));
}

describe("CachingCredentialVerifier", () => {
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

  test("while beats arrive, a valid key is looked up once a minute", async () => {
    for (let second = 0; second <= 60; second += 1) {
      expect(await verifier.verify(key)).toBeDefined();
      await beats(1);
    }
    expect(directory.calls).toBe(1);
    await verifier.verify(key);
    expect(directory.calls).toBe(2);
  });

  test("a key ends at its expiry, in the middle of its cached minute", async () => {
    directory.put(key, { ...RECORD, expireTimeMs: START_MS + 10_000 });
    expect(await verifier.verify(key)).toBeDefined();
    await beats(9);
    await clock.advance(999);
    expect(await verifier.verify(key)).toBeDefined();
    await clock.advance(1);
    expect(await verifier.verify(key)).toBeUndefined();
    expect(directory.calls).toBe(1);
  });

  test("an unknown key is remembered for a second, and pushes no good one out", async () => {
    await verifier.verify(key);
    const unknown = newApiKeySecret();
    await verifier.verify(unknown);
    await verifier.verify(unknown);
    expect(directory.calls).toBe(2);
    await beats(1);
    await clock.advance(1);
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
    await verifier.verify(key);
    await verifier.verify(other);

    remove(key);
    broadcasts.revoke(RECORD.id);

    expect(await verifier.verify(key)).toBeUndefined();
    expect(await verifier.verify(other)).toBeDefined();
    expect(directory.calls).toBe(2);
  });

  test("a rotated key is looked up again", async () => {
    await verifier.verify(key);
    directory.put(key, { ...RECORD, expireTimeMs: START_MS + 1_000 });
    broadcasts.revoke(RECORD.id, { hasEnded: false });
    expect((await verifier.verify(key))?.expireTimeMs).toBe(START_MS + 1_000);
    expect(directory.calls).toBe(2);
  });

  test("a revocation during a look-up refuses every caller that waits for it", async () => {
    directory.holding = true;
    const early = verifier.verify(key);
    remove(key);
    broadcasts.revoke(RECORD.id);
    const late = verifier.verify(key);
    directory.letGo();
    expect(await early).toBeUndefined();
    expect(await late).toBeUndefined();
    expect(directory.calls).toBe(1);
  });

  test("a rotation during a look-up repeats it, and a revocation of another key does not", async () => {
    directory.holding = true;
    const rotated = verifier.verify(key);
    const untouched = verifier.verify(other);
    directory.put(key, { ...RECORD, expireTimeMs: START_MS + 1_000 });
    broadcasts.revoke(RECORD.id, { hasEnded: false });
    await clock.advance(1);
    directory.holding = false;
    directory.letGo();
    expect((await rotated)?.expireTimeMs).toBe(START_MS + 1_000);
    expect(await untouched).toBeDefined();
    expect(directory.calls).toBe(3);
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
    for (const topic of [CREDENTIALS_REVOKED_TOPIC, CREDENTIALS_BEAT_TOPIC]) {
      for (const bytes of [0, 16, 40]) broadcasts.send(topic, new Uint8Array(bytes));
    }
    expect(await verifier.verify(key)).toBeDefined();
    expect(directory.calls).toBe(1);
  });

  test("closed, it listens no more", () => {
    expect(broadcasts.handlers.size).toBe(2);
    verifier.close();
    expect(broadcasts.handlers.size).toBe(0);
  });
});

describe("after the event loop was blocked", () => {
  /** The broadcast has arrived, and its handler runs after the request's. */
  const arrive = (broadcast: () => void): void => void setImmediate(() => setImmediate(broadcast));

  test("a revocation that has arrived counts before a request that is handled first", async () => {
    await verifier.verify(key);
    remove(key);
    await clock.advance(600);
    arrive(() => broadcasts.revoke(RECORD.id));
    const requests = [verifier.verify(key), verifier.verify(key)];
    expect(await Promise.all(requests)).toEqual([undefined, undefined]);
  });

  test("nobody waits if the last beat is half a second old or younger", async () => {
    await verifier.verify(key);
    await clock.advance(500);
    let isHandled = false;
    setImmediate(() => {
      isHandled = true;
    });
    await verifier.verify(key);
    expect(isHandled).toBe(false);
  });
});

describe("beats", () => {
  test("without them, a key is looked up every five seconds", async () => {
    await verifier.verify(key);
    await clock.advance(2_501);
    await verifier.verify(key);
    await clock.advance(2_499);
    await verifier.verify(key);
    expect(directory.calls).toBe(1);
    await clock.advance(1);
    await verifier.verify(key);
    expect(directory.calls).toBe(2);
  });

  test("two missing ones lead to a look-up when they are back, and one missing one does not", async () => {
    await verifier.verify(key);
    await clock.advance(2_000);
    broadcasts.beat();
    await verifier.verify(key);
    expect(directory.calls).toBe(1);
    await clock.advance(3_000);
    broadcasts.beat();
    await verifier.verify(key);
    expect(directory.calls).toBe(2);
  });

  test("a revocation whose announcement got lost counts from the next beat", async () => {
    const changes: (string | undefined)[] = [];
    verifier.onChange((id) => changes.push(id));
    await verifier.verify(key);
    await verifier.verify(other);
    remove(key);
    broadcasts.revoke(RECORD.id, { isLost: true });
    // The announcement of a second key does not replace the lost announcement.
    broadcasts.revoke(OTHER_ID, { hasEnded: false });
    expect(await verifier.verify(key)).toBeDefined();
    await beats(1);
    expect(await verifier.verify(key)).toBeUndefined();
    expect(await verifier.verify(other)).toBeDefined();
    expect(changes).toEqual([OTHER_ID, undefined]);
  });

  test("announcements that arrive out of order are no gap", async () => {
    await verifier.verify(key);
    const revocation = (count: number) => encodeRevocation({ credentialId: OTHER_ID, hasEnded: true, count });
    broadcasts.send(CREDENTIALS_REVOKED_TOPIC, revocation(2));
    broadcasts.send(CREDENTIALS_REVOKED_TOPIC, revocation(1));
    await clock.advance(1_000);
    broadcasts.send(CREDENTIALS_BEAT_TOPIC, encodeBeat(2));
    // The beat of another replica, read before the revocations.
    broadcasts.send(CREDENTIALS_BEAT_TOPIC, encodeBeat(0));
    await verifier.verify(key);
    expect(directory.calls).toBe(1);
  });
});

describe("while identity is unreachable", () => {
  const sensitive = { sensitive: true };
  const outage = (): void => {
    directory.failing = new AppError("UNAVAILABLE", { retryAfterMs: 1_000 });
  };
  const refused = (secret: string, options = {}) =>
    expect(verifier.verify(secret, options)).rejects.toMatchObject({
      reason: "UNAVAILABLE",
      retryAfterMs: 1_000,
    });

  test("a known key works for the grace after the last beat, however long ago it was used", async () => {
    await verifier.verify(key);
    await beats(600);
    outage();
    await clock.advance(GRACE_MS);
    expect(await verifier.verify(key)).toBeDefined();
    await clock.advance(1);
    await refused(key);
    directory.failing = undefined;
    expect(await verifier.verify(key)).toBeDefined();
  });

  test("an unknown key is unavailable, a revoked one unauthenticated, a rotated one unavailable", async () => {
    const rotated = newApiKeySecret();
    const rotatedId = "0190a5b4-0000-7000-8000-000000000003" as ApiKeyId;
    directory.put(rotated, { ...RECORD, id: rotatedId });
    for (const secret of [key, other, rotated]) await verifier.verify(secret);
    outage();
    broadcasts.revoke(OTHER_ID);
    broadcasts.revoke(rotatedId, { hasEnded: false });
    await clock.advance(60_000);
    expect(await verifier.verify(key)).toBeDefined();
    expect(await verifier.verify(other)).toBeUndefined();
    await refused(rotated);
    await refused(newApiKeySecret());
  });

  test("a key ends at its expiry", async () => {
    directory.put(key, { ...RECORD, expireTimeMs: START_MS + 30_000 });
    await verifier.verify(key);
    outage();
    await clock.advance(29_999);
    expect(await verifier.verify(key)).toBeDefined();
    await clock.advance(1);
    expect(await verifier.verify(key)).toBeUndefined();
  });

  test("a sensitive method takes only a recent verification", async () => {
    await verifier.verify(key);
    outage();
    await clock.advance(5_000);
    expect(await verifier.verify(key, sensitive)).toBeDefined();
    await clock.advance(1);
    await refused(key, sensitive);
    expect(await verifier.verify(key)).toBeDefined();
  });

  test("a verification from before a gap in the beats serves nobody", async () => {
    await verifier.verify(key);
    await clock.advance(3_000);
    await beats(1);
    await verifier.verify(other);
    outage();
    await refused(key);
    await clock.advance(60_000);
    expect(await verifier.verify(other)).toBeDefined();
  });

  test("a verification from before the broker went away serves nobody if identity responded since", async () => {
    await verifier.verify(key);
    await clock.advance(60_000);
    await verifier.verify(other);
    outage();
    await refused(key);
    await clock.advance(60_000);
    expect(await verifier.verify(other)).toBeDefined();
    await clock.advance(60_001);
    await refused(other);
  });

  test("a known key waits a second for an identity that hangs, and not again at once", async () => {
    await verifier.verify(key);
    await clock.advance(10_000);
    directory.holding = true;
    const waiting = verifier.verify(key);
    await waitFor(() => directory.calls === 2);
    await clock.advance(1_000);
    expect(await waiting).toBeDefined();
    expect(await verifier.verify(key)).toBeDefined();
    expect(directory.calls).toBe(2);
    broadcasts.revoke(RECORD.id);
    expect(await verifier.verify(key)).toBeUndefined();
    directory.letGo();
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
        grantUpTo: Role.ADMIN,
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
