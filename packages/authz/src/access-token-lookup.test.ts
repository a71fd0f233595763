import { generateKeyPairSync } from "node:crypto";
import type { OrganizationId, SessionId, SigningKeyId, UserId } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { FakeClock } from "@muster/testkit";
import { beforeEach, describe, expect, test } from "vitest";
import { type AccessTokenClaims, signAccessToken } from "./access-token.ts";
import { accessTokenCredentials, type SessionRecord } from "./access-token-lookup.ts";
import type { Refusal } from "./credential-lookup.ts";
import { CachingCredentialVerifier } from "./credential-verifier.ts";
import { dependsOn } from "./principal.ts";
import type { PublishedKey } from "./published-keys.ts";
import {
  CREDENTIALS_BEAT_TOPIC,
  CREDENTIALS_REVOKED_TOPIC,
  encodeBeat,
  encodeRevocation,
} from "./revocation-messages.ts";

const id = (digits: string): string => `0190a5b4-0000-7000-8000-${digits.padStart(12, "0")}`;
const USER = id("1") as UserId;
const SESSION = id("2") as SessionId;
const ORGANIZATION = id("3") as OrganizationId;
const log = createLogger({ level: "silent" });

/** A pair whose private half signs and whose public half identity publishes. */
function newKey(keyId: SigningKeyId) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const published: PublishedKey = {
    id: keyId,
    x: Buffer.from(x, "base64url"),
    y: Buffer.from(y, "base64url"),
  };
  return { keyId, privateKey, published };
}

const first = newKey(id("a1") as SigningKeyId);
const second = newKey(id("a2") as SigningKeyId);

let clock: FakeClock;
let published: PublishedKey[];
let sessions: Map<SessionId, SessionRecord | Refusal>;
let failing: boolean;
let calls: { keys: number; sessions: number };
let count: number;
let handlers: Map<string, (payload: Uint8Array) => void>;
let verifier: CachingCredentialVerifier;

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1) - 1);
  await clock.advance(1);
  published = [first.published];
  sessions = new Map([[SESSION, record()]]);
  failing = false;
  calls = { keys: 0, sessions: 0 };
  count = 0;
  handlers = new Map();
  const reach = () => {
    if (failing) throw new AppError("UNAVAILABLE");
  };
  const lookups = {
    publishedKeys: async () => {
      calls.keys += 1;
      reach();
      return published;
    },
    session: async (sessionId: SessionId) => {
      calls.sessions += 1;
      reach();
      return sessions.get(sessionId) ?? "SESSION_ENDED";
    },
  };
  verifier = new CachingCredentialVerifier({
    lookups: [accessTokenCredentials(lookups, clock)],
    clock,
    broadcasts: {
      onBroadcast: (topic, handler) => {
        handlers.set(topic, handler);
        return () => handlers.delete(topic);
      },
    },
    log,
  });
  handlers.get(CREDENTIALS_BEAT_TOPIC)?.(encodeBeat(0));
});

function record(more: Partial<SessionRecord> = {}): SessionRecord {
  return {
    userId: USER,
    organizationId: ORGANIZATION,
    role: "owner",
    authenticatedMs: undefined,
    stepUpMethods: ["password"],
    needsSecondFactor: false,
    expireTimeMs: clock.nowMs() + 86_400_000,
    ...more,
  };
}

let tokens = 0;
function tokenOf(claims: Partial<AccessTokenClaims> = {}, { keyId, privateKey } = first): string {
  tokens += 1;
  const whole = { userId: USER, sessionId: SESSION, organizationId: ORGANIZATION, ...claims };
  const tokenId = id(tokens.toString(16));
  return signAccessToken(whole, { key: privateKey, signingKeyId: keyId, nowMs: clock.nowMs(), tokenId });
}

function announce(credentialId: string, hasEnded = true): void {
  count += 1;
  handlers.get(CREDENTIALS_REVOKED_TOPIC)?.(encodeRevocation({ credentialId, hasEnded, count }));
}

const ended = { reason: "SESSION_ENDED", row: { http: 401 } };
const away = { reason: "UNAVAILABLE" };

describe("an access token", () => {
  test("is the user of the session, with the permissions of the role", async () => {
    const principal = await verifier.verify(tokenOf());
    expect(principal).toMatchObject({
      kind: "user",
      id: USER,
      sessionId: SESSION,
      organizationId: ORGANIZATION,
      role: "owner",
      stepUpMethods: ["password"],
      needsSecondFactor: false,
      expireTimeMs: clock.nowMs() + 300_000,
    });
    expect(principal?.permissions.has("organizations.delete")).toBe(true);
    if (principal === undefined) return;
    for (const one of [USER, SESSION, first.keyId, ORGANIZATION]) {
      expect(dependsOn(principal, one)).toBe(true);
    }
    expect(dependsOn(principal, id("0"))).toBe(false);
  });

  test("is looked up again once a change of the organization is announced", async () => {
    const token = tokenOf();
    expect(await verifier.verify(token)).toMatchObject({ needsSecondFactor: false });
    sessions.set(SESSION, record({ needsSecondFactor: true }));
    expect(await verifier.verify(token)).toMatchObject({ needsSecondFactor: false });
    announce(ORGANIZATION, false);
    expect(await verifier.verify(token)).toMatchObject({ needsSecondFactor: true });
  });

  test("without an organization has no permission", async () => {
    sessions.set(SESSION, record({ organizationId: undefined, role: undefined }));
    const principal = await verifier.verify(tokenOf({ organizationId: undefined }));
    expect(principal).toMatchObject({ kind: "user", organizationId: undefined, role: undefined });
    expect(principal?.permissions.has("users.read")).toBe(false);
  });

  test("is looked up once, and its keys are fetched once", async () => {
    const token = tokenOf();
    for (let index = 0; index < 3; index += 1) await verifier.verify(token);
    expect(calls).toEqual({ keys: 1, sessions: 1 });
    await verifier.verify(tokenOf());
    expect(calls).toEqual({ keys: 1, sessions: 2 });
  });

  test("ends at its exp while it is cached", async () => {
    const token = tokenOf();
    await clock.advance(299_000);
    expect(await verifier.verify(token)).toBeDefined();
    await clock.advance(1_000);
    expect(await verifier.verify(token)).toBeUndefined();
  });

  test("of a session that expires before it has an ended session from then on", async () => {
    sessions.set(SESSION, record({ expireTimeMs: clock.nowMs() + 2_000 }));
    const token = tokenOf();
    expect(await verifier.verify(token)).toBeDefined();
    await clock.advance(2_000);
    await expect(verifier.verify(token)).rejects.toMatchObject(ended);
    expect(calls.sessions).toBe(1);
  });

  test("of another user or another organization than its session is refused", async () => {
    const other = { userId: id("91") as UserId, organizationId: id("93") as OrganizationId };
    expect(await verifier.verify(tokenOf({ userId: other.userId }))).toBeUndefined();
    expect(await verifier.verify(tokenOf({ organizationId: other.organizationId }))).toBeUndefined();
    expect(await verifier.verify(tokenOf({ organizationId: undefined }))).toBeUndefined();
  });
});

describe("the keys", () => {
  test("a token of a new key is verified at once", async () => {
    await verifier.verify(tokenOf());
    await clock.advance(1_000);
    published = [first.published, second.published];
    expect(await verifier.verify(tokenOf({}, second))).toBeDefined();
    expect(calls.keys).toBe(2);
  });

  test("made-up key ids cause one fetch a second, and no look-up of a session", async () => {
    for (let index = 0; index < 50; index += 1) {
      const foreign = { ...second, keyId: id(`f${index}`) as SigningKeyId };
      expect(await verifier.verify(tokenOf({}, foreign))).toBeUndefined();
    }
    expect(calls).toEqual({ keys: 1, sessions: 0 });
    await clock.advance(1_000);
    await verifier.verify(tokenOf({}, second));
    expect(calls.keys).toBe(2);
  });

  test("a foreign key with the id of ours is refused without a look-up", async () => {
    expect(await verifier.verify(tokenOf({}, { ...second, keyId: first.keyId }))).toBeUndefined();
    expect(calls.sessions).toBe(0);
  });

  test("a withdrawn key ends its tokens, and only those", async () => {
    published = [first.published, second.published];
    const [old, young] = [tokenOf(), tokenOf({}, second)];
    for (const token of [old, young]) expect(await verifier.verify(token)).toBeDefined();
    announce(first.keyId);
    expect(await verifier.verify(old)).toBeUndefined();
    expect(await verifier.verify(tokenOf())).toBeUndefined();
    expect(await verifier.verify(young)).toBeDefined();
  });
});

describe("the end of a session", () => {
  test.each<[string, string]>([
    ["the session", SESSION],
    ["the user", USER],
  ])("announced by the id of %s ends every token of it, also with identity away", async (_, announced) => {
    const known = [tokenOf(), tokenOf()];
    for (const token of known) expect(await verifier.verify(token)).toBeDefined();
    failing = true;
    announce(announced);
    for (const token of known) await expect(verifier.verify(token)).rejects.toMatchObject(ended);
    failing = false;
    await expect(verifier.verify(tokenOf())).rejects.toMatchObject(ended);
  });

  test("of another session changes nothing", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    announce(id("92"));
    expect(await verifier.verify(token)).toBeDefined();
    expect(calls.sessions).toBe(1);
  });

  test("is also known by a look-up, and remembered", async () => {
    sessions.clear();
    const token = tokenOf();
    for (let index = 0; index < 2; index += 1) {
      await expect(verifier.verify(token)).rejects.toMatchObject(ended);
    }
    expect(calls.sessions).toBe(1);
  });
});

describe("a change of the user", () => {
  test("announced without an end is read from identity", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    sessions.set(SESSION, record({ role: "auditor" }));
    announce(USER, false);
    expect(await verifier.verify(token)).toMatchObject({ role: "auditor" });
  });

  test("announced while identity is away makes the token unavailable, not valid", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    failing = true;
    announce(USER, false);
    await expect(verifier.verify(token)).rejects.toMatchObject(away);
  });

  test("is read by a renewal, which joins no look-up that began before", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    sessions.set(SESSION, record({ authenticatedMs: clock.nowMs() }));
    expect(await verifier.verify(token)).toMatchObject({ authenticatedMs: undefined });
    const renewed = await verifier.verify(token, { renew: true });
    expect(renewed).toMatchObject({ authenticatedMs: clock.nowMs() });
    expect(await verifier.verify(token)).toMatchObject({ authenticatedMs: clock.nowMs() });
  });
});

describe("a stream", () => {
  const isStreaming = true;

  test("goes on after the exp of its token, until the session ends", async () => {
    sessions.set(SESSION, record({ expireTimeMs: clock.nowMs() + 600_000 }));
    const token = tokenOf();
    await verifier.verify(token);
    await clock.advance(300_000);
    expect(await verifier.verify(token, { isStreaming })).toMatchObject({ id: USER });
    expect(await verifier.verify(token)).toBeUndefined();
    await clock.advance(300_000);
    await expect(verifier.verify(token, { isStreaming })).rejects.toMatchObject(ended);
  });

  test("is looked up anew after a notice, also with an expired token", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    await clock.advance(300_000);
    announce(USER, false);
    expect(await verifier.verify(token)).toBeUndefined();
    expect(calls.sessions).toBe(1);
    expect(await verifier.verify(token, { isStreaming })).toBeDefined();
    expect(calls.sessions).toBe(2);
    announce(SESSION);
    await expect(verifier.verify(token, { isStreaming })).rejects.toMatchObject(ended);
  });
});

describe("while identity is unreachable", () => {
  test("a known token works for the grace and no longer, unknown ones are unavailable", async () => {
    const token = tokenOf();
    await verifier.verify(token);
    failing = true;
    await clock.advance(60_000);
    const young = tokenOf();
    expect(await verifier.verify(token)).toBeDefined();
    await expect(verifier.verify(young)).rejects.toMatchObject(away);
    await expect(verifier.verify(token, { sensitive: true })).rejects.toMatchObject(away);
    await expect(verifier.verify(token, { renew: true })).rejects.toMatchObject(away);
    await clock.advance(60_001);
    await expect(verifier.verify(token)).rejects.toMatchObject(away);
  });

  test("a token ends at its exp, whatever the grace", async () => {
    const token = tokenOf();
    await clock.advance(250_000);
    await verifier.verify(token);
    failing = true;
    await clock.advance(50_000);
    expect(await verifier.verify(token)).toBeUndefined();
  });
});
