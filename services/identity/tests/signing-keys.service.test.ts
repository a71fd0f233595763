// Signing keys in each database: sealed at rest, rotated by age and by command, one at a time.
import { createPublicKey } from "node:crypto";
import { signingKeyIdOf } from "@muster/authz";
import { SigningKeyService } from "@muster/contracts/muster/identity/v1/signing_key_service_pb";
import { randomIds, type SessionId, type SigningKeyId, type UserId } from "@muster/core";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccessTokens } from "../src/access-tokens/access-tokens.ts";
import { listPublishedKeys } from "../src/signing-keys/list-published-keys.ts";
import { ensureSigningKey, rotateSigningKey } from "../src/signing-keys/rotate-signing-key.ts";
import { listSigningKeys } from "../src/signing-keys/signing-key-store.ts";
import { IdentityUnderTest } from "./identity-under-test.ts";

const MIGRATIONS = new URL("../migrations/", import.meta.url);
const DAY_MS = 86_400_000;
const sealKey = new Uint8Array(32).fill(3);

describe.each(ENGINES)("signing keys on %s", (engine) => {
  let place: TestDatabase;
  let clock: FakeClock;
  let deps: {
    database: TestDatabase["database"];
    clock: FakeClock;
    ids: typeof randomIds;
    sealKey: Uint8Array;
  };

  beforeEach(async () => {
    place = await openTestDatabase(engine, MIGRATIONS);
    clock = new FakeClock();
    deps = { database: place.database, clock, ids: randomIds, sealKey };
  });
  afterEach(() => place.close());

  const claims = () => ({
    userId: randomIds.next<UserId>(0),
    sessionId: randomIds.next<SessionId>(0),
    organizationId: undefined,
    nowMs: clock.nowMs(),
  });
  const signerId = async (tokens: AccessTokens): Promise<SigningKeyId | undefined> =>
    signingKeyIdOf(await tokens.sign(claims()));
  const publishedIds = async () => (await listPublishedKeys(deps)).map(({ id }) => id);

  test("ten processes that start at once make one key", async () => {
    await Promise.all(Array.from({ length: 10 }, () => ensureSigningKey(deps)));
    expect(await publishedIds()).toHaveLength(1);
  });

  test("ten processes that sign at once make one key too, and sign with it", async () => {
    const signers = await Promise.all(Array.from({ length: 10 }, () => signerId(new AccessTokens(deps))));
    expect(new Set(signers).size).toBe(1);
    expect(await publishedIds()).toEqual([signers[0]]);
  });

  test("the private key is sealed: its bytes are nowhere, and another secret opens nothing", async () => {
    await ensureSigningKey(deps);
    const [stored] = await listSigningKeys(place.database.reader);
    const text = (bytes: Buffer | undefined): string => bytes?.toString("base64url") ?? "";
    const jwk = { kty: "EC", crv: "P-256", x: text(stored?.x), y: text(stored?.y) };
    expect(createPublicKey({ key: jwk, format: "jwk" }).asymmetricKeyType).toBe("ec");
    // What every PKCS #8 text of such a key begins with.
    const start = Buffer.from("308187020100301306072a8648ce3d0201", "hex");
    expect(stored?.sealedPrivateKey.includes(start)).toBe(false);
    const stranger = new AccessTokens({ ...deps, sealKey: new Uint8Array(32).fill(4) });
    await expect(stranger.sign(claims())).rejects.toThrow();
    expect(await new AccessTokens(deps).sign(claims())).toBeDefined();
  });

  test("a key gets one successor after 90 days, which is published before it signs", async () => {
    const tokens = new AccessTokens(deps);
    const first = await signerId(tokens);
    await clock.advance(90 * DAY_MS);
    await Promise.all([ensureSigningKey(deps), ensureSigningKey(deps), ensureSigningKey(deps)]);
    const [second, ...others] = await publishedIds();
    expect(others).toEqual([first]);
    expect(await signerId(tokens)).toBe(first);
    await clock.advance(600_000 - 1);
    expect(await signerId(tokens)).toBe(first);
    await clock.advance(1);
    expect(await signerId(tokens)).toBe(second);
    expect(await publishedIds()).toEqual([second, first]);
    await clock.advance(DAY_MS);
    expect(await publishedIds()).toEqual([second]);
  });

  test("a rotation by command signs at once, and the old key stays published for a day", async () => {
    const tokens = new AccessTokens(deps);
    const first = await signerId(tokens);
    const rotated = await rotateSigningKey(deps, undefined);
    expect(await signerId(tokens)).toBe(rotated?.id);
    expect(await publishedIds()).toEqual([rotated?.id, first]);
    await clock.advance(DAY_MS);
    expect(await publishedIds()).toEqual([rotated?.id]);
  });

  test("ten rotations at once make ten keys, of which one signs and nine end", async () => {
    await ensureSigningKey(deps);
    const rotated = await Promise.all(Array.from({ length: 10 }, () => rotateSigningKey(deps, undefined)));
    expect(new Set(rotated.map((one) => one?.id)).size).toBe(10);
    const keys = await listSigningKeys(place.database.reader);
    expect(keys.map(({ generation }) => generation)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(keys.filter(({ endTimeMs }) => endTimeMs === undefined)).toHaveLength(1);
  });

  test("a withdrawn key is gone at once, whatever the clocks say, and another key signs", async () => {
    const tokens = new AccessTokens(deps);
    const first = await signerId(tokens);
    const behind = { ...deps, clock: new FakeClock(clock.nowMs() - 60_000) };
    const rotated = await rotateSigningKey(deps, first);
    expect(rotated?.revocations).toEqual([{ credentialId: first, hasEnded: true, count: 1 }]);
    expect(await listPublishedKeys(behind)).toMatchObject([{ id: rotated?.id }]);
    const late = await new AccessTokens(behind).sign({ ...claims(), nowMs: behind.clock.nowMs() });
    expect(signingKeyIdOf(late)).toBe(rotated?.id);
  });

  test("to withdraw a key that does not exist changes nothing", async () => {
    await ensureSigningKey(deps);
    const before = await publishedIds();
    expect(await rotateSigningKey(deps, randomIds.next(0))).toBeUndefined();
    expect(await publishedIds()).toEqual(before);
  });

  test("keys that ended long ago are deleted", async () => {
    await ensureSigningKey(deps);
    for (let rotation = 0; rotation < 5; rotation += 1) {
      await clock.advance(3 * DAY_MS);
      await rotateSigningKey(deps, undefined);
    }
    expect((await listSigningKeys(place.database.reader)).length).toBeLessThanOrEqual(3);
  });
});

test("the published set is a JWKS by which another library verifies a token", async () => {
  const identity = await IdentityUnderTest.open("sqlite");
  const { message, headers } = await identity.callWithHeaders(SigningKeyService.method.getJwks, {});
  expect(headers.get("cache-control")).toBe("public, max-age=300");
  expect(message.keys).toMatchObject([{ kty: "EC", use: "sig", alg: "ES256", crv: "P-256" }]);
  const keys = message.keys.map(({ kty, use, alg, kid, crv, x, y }) => ({ kty, use, alg, kid, crv, x, y }));
  const token = await identity.accessTokens.sign({
    userId: randomIds.next(0),
    sessionId: randomIds.next(0),
    organizationId: undefined,
    nowMs: identity.clock.nowMs(),
  });
  const { protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys }), {
    currentDate: new Date(identity.clock.nowMs()),
  });
  expect(protectedHeader.kid).toBe(keys[0]?.kid);
  await identity.close();
});
