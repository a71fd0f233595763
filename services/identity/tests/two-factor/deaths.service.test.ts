// Tests that a process may die before any statement of a call: the next call succeeds. Also compares the statements
// that a magic link takes for known and unknown addresses.
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES, WatchedDatabase } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertMagicLink } from "../../src/magic-link/magic-link-store.ts";
import { newMailToken } from "../../src/one-time-tokens/mail-token.ts";
import { issueOneTimeToken } from "../../src/one-time-tokens/one-time-token-store.ts";
import { HOUR_MS, type TestUser, TwoFactorUnderTest } from "./two-factor-under-test.ts";

const { confirmTwoFactor, confirmTwoFactorRecovery, enrollTwoFactor, loginWithTwoFactor, reauthenticate } =
  TwoFactorService.method;
const { redeemMagicLink, sendMagicLink } = MagicLinkService.method;

/** More than any call runs. */
const STATEMENTS_MAX = 80;

describe.each(ENGINES)("processes that die on %s", (engine) => {
  const watched = new WatchedDatabase();
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine, { wrap: watched.wrap });
    // Workers run statements of their own.
    await identity.stop();
  });
  afterAll(() => identity.close());

  /** Each call makes a new user, dies before a later statement than the last one, and is repeated. */
  async function dieEverywhere(prepare: () => Promise<() => Promise<unknown>>): Promise<number> {
    for (let statement = 0; statement < STATEMENTS_MAX; statement += 1) {
      watched.reset();
      const call = await prepare();
      watched.reset({ dieBefore: statement });
      const isDone = await call().then(
        () => true,
        () => false,
      );
      const { isDead } = watched;
      watched.reset();
      if (!isDead) {
        expect(isDone).toBe(true);
        return statement;
      }
      await call();
    }
    return expect.unreachable("the call runs more statements than expected");
  }

  const redeemable = async ({ id }: TestUser): Promise<string> => {
    const { text, hash } = newMailToken();
    const createTimeMs = identity.clock.nowMs();
    await identity.stored.database.transaction((trx) =>
      insertMagicLink(trx, {
        id,
        tokenHash: hash,
        codeHash: undefined,
        codeChallenge: undefined,
        wrongCodes: 0,
        userId: id,
        securityVersion: 1,
        createTimeMs,
        expireTimeMs: createTimeMs + HOUR_MS,
      }),
    );
    return text;
  };

  const recoveryToken = (user: TestUser): Promise<string> => {
    const createTimeMs = identity.clock.nowMs();
    return identity.stored.database.transaction((trx) =>
      issueOneTimeToken(trx, {
        purpose: "recover",
        userId: user.id,
        securityVersion: 1,
        details: {},
        createTimeMs,
        expireTimeMs: createTimeMs + HOUR_MS,
      }),
    );
  };

  const calls: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
    "login by a code": async () => {
      const user = await identity.enabledUser();
      const request = { challenge: await identity.challenge(user), code: await identity.code(user.secret) };
      return () => identity.call(loginWithTwoFactor, request);
    },
    "login by a backup code": async () => {
      const user = await identity.enabledUser();
      const request = { challenge: await identity.challenge(user), code: user.backupCodes[0] ?? "" };
      return () => identity.call(loginWithTwoFactor, request);
    },
    confirmation: async () => {
      const { session } = await identity.user();
      const { secret } = await identity.call(enrollTwoFactor, {}, { user: session });
      const code = await identity.code(secret);
      return () => identity.call(confirmTwoFactor, { code }, { user: session });
    },
    "step-up": async () => {
      const user = await identity.enabledUser();
      const credential = { case: "code" as const, value: await identity.code(user.secret) };
      return () => identity.call(reauthenticate, { credential }, { user: user.session });
    },
    "redeemed link": async () => {
      const token = await redeemable(await identity.user());
      return () => identity.call(redeemMagicLink, { token });
    },
    "scheduled recovery": async () => {
      const token = await recoveryToken(await identity.enabledUser());
      return () => identity.call(confirmTwoFactorRecovery, { token });
    },
  };

  test.each(Object.entries(calls))(
    "%s: whatever statement the process dies before, the next call succeeds",
    async (_, prepare) => {
      expect(await dieEverywhere(prepare)).toBeGreaterThan(5);
    },
    120_000,
  );

  test("a magic link takes the same statements for known and unknown addresses", async () => {
    const user = await identity.user();
    const statementsOf = async (email: string): Promise<string[]> => {
      watched.reset();
      await identity.call(sendMagicLink, { email });
      return watched.statements;
    };
    const known = await statementsOf(user.email);
    expect(known.length).toBeGreaterThan(5);
    expect(await statementsOf("nobody@example.test")).toEqual(known);
  });
});
