// Tests that a refused login costs the same hashes and statements, whatever is stored about the address.

import { randomBytes } from "node:crypto";
import { canonicalEmail, randomIds } from "@muster/core";
import { ENGINES, WatchedDatabase } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PendingRegistration } from "../../src/registration/registration.ts";
import { insertRegistration } from "../../src/registration/registration-store.ts";
import { PASSWORD, SignInUnderTest } from "./sign-in-under-test.ts";

/** The parameters of every hash that was computed. */
const hashed = vi.hoisted((): string[] => []);

vi.mock("@node-rs/argon2", async (original) => {
  const argon2 = await original<typeof import("@node-rs/argon2")>();
  return {
    ...argon2,
    hash: (...given: Parameters<typeof argon2.hash>) => {
      hashed.push(`hash ${JSON.stringify(given[1])}`);
      return argon2.hash(...given);
    },
    verify: (...given: Parameters<typeof argon2.verify>) => {
      hashed.push(`verify ${String(given[0]).split("$")[3]}`);
      return argon2.verify(...given);
    },
  };
});

const WRONG = "a quiet lake at night";

describe.each(ENGINES)("the costs of a refused login on %s", (engine) => {
  const watched = new WatchedDatabase();
  let identity: SignInUnderTest;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine, { wrap: watched.wrap });
    // Workers run statements of their own.
    await identity.stop();
  });
  afterAll(() => identity.close());

  async function pending(): Promise<string> {
    const { email, emailKey, passwordHash } = await identity.user((await identity.person()).id);
    const registration: PendingRegistration = {
      registrationId: randomIds.next(0),
      email: `pending-${email}`,
      emailKey: canonicalEmail(`pending-${emailKey}`),
      name: "Ada",
      passwordHash,
      organizationName: undefined,
      invitationHash: undefined,
      createTimeMs: identity.clock.nowMs(),
      expireTimeMs: identity.clock.nowMs() + 60_000,
    };
    await identity.stored.database.transaction((trx) =>
      insertRegistration(trx, randomBytes(32), registration),
    );
    return registration.email;
  }

  async function suspended(): Promise<string> {
    const person = await identity.person();
    await identity.join(person.id, identity.newOrganization(), { status: "suspended" });
    return person.email;
  }

  async function locked(email: string, client: string): Promise<string> {
    for (let index = 0; index < 5; index += 1) {
      await identity.loginResponse(email, { client, password: WRONG }).catch(() => undefined);
    }
    return email;
  }

  const person = async (change = {}) => (await identity.person(change)).email;

  interface Case {
    readonly email: (client: string) => Promise<string>;
    readonly password?: string;
    readonly reason: string;
  }
  const cases: Record<string, Case> = {
    unknown: { email: async () => "nobody@example.test", reason: "LOGIN_FAILED" },
    "no address": { email: async () => "nobody", reason: "LOGIN_FAILED" },
    "wrong password": { email: () => person(), reason: "LOGIN_FAILED" },
    "no password": { email: () => person({ passwordHash: undefined }), reason: "LOGIN_FAILED" },
    suspended: { email: suspended, reason: "LOGIN_FAILED" },
    unverified: { email: () => person({ isEmailVerified: false }), reason: "LOGIN_FAILED" },
    "unverified, right password": {
      email: () => person({ isEmailVerified: false }),
      password: PASSWORD,
      reason: "EMAIL_NOT_VERIFIED",
    },
    pending: { email: pending, reason: "LOGIN_FAILED" },
    "pending, right password": { email: pending, password: PASSWORD, reason: "EMAIL_NOT_VERIFIED" },
    "reset required, right password": {
      email: () => person({ isPasswordResetRequired: true }),
      password: PASSWORD,
      reason: "PASSWORD_RESET_REQUIRED",
    },
    locked: { email: async (client) => locked(await person(), client), reason: "LOGIN_LOCKED" },
    "locked, right password": {
      email: async (client) => locked(await person(), client),
      password: PASSWORD,
      reason: "LOGIN_LOCKED",
    },
    "locked, unknown": { email: (client) => locked("nobody@example.test", client), reason: "LOGIN_LOCKED" },
  };

  /** Each login comes from a new client, because the failures of each client are limited. */
  let clients = 0;

  async function costsOf({ email, password = WRONG, reason }: Case, deviceToken?: string) {
    clients += 1;
    const client = `198.51.100.${clients}`;
    const address = await email(client);
    watched.reset();
    hashed.length = 0;
    const refusal: unknown = await identity
      .loginResponse(address, { client, password, deviceToken })
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ reason });
    return { statements: [...watched.statements], hashes: [...hashed] };
  }

  test.each([undefined, "A".repeat(43)])(
    "each class costs the same (device token %s)",
    async (deviceToken) => {
      const usual = await costsOf(cases["wrong password"] as Case, deviceToken);
      expect(usual.hashes).toEqual(["verify m=19456,t=2,p=1"]);
      expect(usual.statements.length).toBeGreaterThan(6);
      for (const [name, one] of Object.entries(cases)) {
        expect(await costsOf(one, deviceToken), name).toEqual(usual);
      }
    },
  );
});
