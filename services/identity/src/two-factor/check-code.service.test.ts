import { randomBytes } from "node:crypto";
import { randomIds, type UserId } from "@muster/core";
import { ENGINES, oathtoolCode, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { totpSecretText } from "../two-factor-rules/totp.ts";
import { twoFactorKeys } from "../two-factor-rules/two-factor-keys.ts";
import { insertUser, lockUser } from "../users/user-store.ts";
import { replaceBackupCodes } from "./backup-code-store.ts";
import { issueChallenge, readChallenge } from "./challenge.ts";
import { type CodeCheck, checkCode } from "./check-code.ts";
import { findTotpFactor, openTotpSecret, saveEnrollment, sealTotpSecret } from "./totp-factor-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const NOW_MS = 1_800_000_000_000;
const MINUTE_MS = 60_000;
const STEP_MS = 30_000;
/** Time steps of the model: less than the window in which wrong codes count. */
const STEPS = 29;

describe.each(ENGINES)("codes on %s", (engine) => {
  const keys = twoFactorKeys(randomBytes(32));
  const secret = randomBytes(20);
  let place: TestDatabase;
  let userId: UserId;
  let backupCodes: string[];

  beforeAll(async () => {
    place = await openTestDatabase(engine, MIGRATIONS);
  });
  beforeEach(() => newFactor());
  afterAll(() => place.close());

  async function newFactor(): Promise<void> {
    userId = randomIds.next(NOW_MS);
    backupCodes = await place.database.transaction(async (trx) => {
      await insertUser(trx, userOf(userId));
      await saveEnrollment(trx, userId, sealTotpSecret(keys.totpSecrets, userId, secret), NOW_MS);
      return replaceBackupCodes(trx, keys.backupCodes, userId);
    });
  }

  /** As every caller does: locks the user, then checks. */
  const check = (typed: string, nowMs = NOW_MS): Promise<CodeCheck> =>
    place.database.transaction(async (trx) => {
      const user = await lockUser(trx, userId);
      const factor = await findTotpFactor(trx, userId);
      if (user === undefined || factor === undefined) throw new Error("no factor");
      return checkCode(trx, keys, { user, factor, typed }, nowMs);
    });

  const kindsOf = async (checks: readonly Promise<CodeCheck>[]): Promise<Record<string, number>> => {
    const kinds = (await Promise.all(checks)).map(({ kind }) => kind);
    return Object.fromEntries(
      [...new Set(kinds)].sort().map((kind) => [kind, kinds.filter((one) => one === kind).length]),
    );
  };

  const codeAt = (nowMs: number): Promise<string> => oathtoolCode(totpSecretText(secret), nowMs);

  test("a TOTP code works once, in turn and in parallel, and no earlier step works afterwards", async () => {
    const code = await codeAt(NOW_MS);
    expect(await kindsOf(Array.from({ length: 6 }, () => check(code)))).toEqual({ accepted: 1, wrong: 5 });
    expect(await check(code)).toMatchObject({ kind: "wrong" });
    expect(await check(await codeAt(NOW_MS - 30_000))).toMatchObject({ kind: "wrong" });
    expect(await check(await codeAt(NOW_MS + 30_000))).toEqual({ kind: "accepted", method: "totp" });
  });

  test("each backup code works once, in turn and in parallel", async () => {
    const [first = "", second = ""] = backupCodes;
    expect(await kindsOf(Array.from({ length: 6 }, () => check(first)))).toEqual({ accepted: 1, wrong: 5 });
    expect(await check(second.toUpperCase().replace("-", " "))).toEqual({
      kind: "accepted",
      method: "backup_code",
    });
    expect(await check(second)).toMatchObject({ kind: "wrong" });
  });

  test("20 parallel wrong codes: ten are compared, the others find the lock", async () => {
    const wrong = Array.from({ length: 20 }, (_, index) => check(`zzzzz-zzzz${index % 10}`));
    expect(await kindsOf(wrong)).toEqual({ locked: 10, wrong: 10 });
  });

  test("the lock refuses right codes, ends all challenges, is never lengthened, and ends after 15 minutes", async () => {
    const user = userOf(userId);
    const challenges = await place.database.transaction(async (trx) => [
      await issueChallenge(trx, user, "password", NOW_MS),
      await issueChallenge(trx, user, "magic_link", NOW_MS),
    ]);
    for (let guess = 0; guess < 10; guess += 1) await check("000000", NOW_MS + guess);
    const lockedAtMs = NOW_MS + 9;
    const [code = ""] = backupCodes;
    for (const laterMs of [0, 5 * MINUTE_MS, 15 * MINUTE_MS - 1]) {
      const retryAfterMs = 15 * MINUTE_MS - laterMs;
      expect(await check(code, lockedAtMs + laterMs)).toEqual({ kind: "locked", retryAfterMs });
    }
    for (const { details } of challenges) {
      const found = await readChallenge(place.database.reader, details.challenge ?? "", NOW_MS);
      expect(found?.isEnded).toBe(true);
    }
    expect(await check(code, lockedAtMs + 15 * MINUTE_MS)).toMatchObject({ kind: "accepted" });
  });

  test(
    "any order of codes, waits and guesses accepts exactly what a model accepts",
    async () => {
      const steps = await Promise.all(
        Array.from({ length: STEPS }, (_, step) => codeAt(NOW_MS + step * STEP_MS)),
      );
      const action = fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({ kind: fc.constant("totp"), value: fc.integer({ min: -2, max: 2 }) }),
        },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("backup"), value: fc.nat({ max: 3 }) }) },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant("garbage"), value: fc.constant(0) }) },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait"), value: fc.nat({ max: 3 }) }) },
      );
      const property = fc.asyncProperty(
        fc.array(action, { minLength: 10, maxLength: 40 }),
        async (actions) => {
          await newFactor();
          let [step, lastUsedStep, failures] = [2, -1, 0];
          const used = new Set<number>();
          for (const { kind, value } of actions) {
            if (kind === "wait") {
              step = Math.min(step + value, STEPS - 3);
              continue;
            }
            const typed = { totp: steps[step + value], backup: backupCodes[value] }[
              kind as "totp" | "backup"
            ];
            const isRight =
              (kind === "totp" && Math.abs(value) <= 1 && step + value > lastUsedStep) ||
              (kind === "backup" && !used.has(value));
            const isLocked = failures === 10;
            const { kind: outcome } = await check(typed ?? "zzzzz-zzzzz", NOW_MS + step * STEP_MS);
            expect(outcome).toBe(isLocked ? "locked" : isRight ? "accepted" : "wrong");
            if (isLocked) continue;
            if (!isRight) failures += 1;
            else if (kind === "totp") lastUsedStep = step + value;
            else used.add(value);
          }
        },
      );
      await checkProperty(property, { numRuns: 10, endOnFailure: true });
    },
    propertyTimeoutMs(60_000),
  );

  test("a user has at most 20 challenges, and the oldest go first", async () => {
    const issue = (nowMs: number): Promise<string> =>
      place.database.transaction(async (trx) => {
        const { details } = await issueChallenge(trx, userOf(userId), "password", nowMs);
        return details.challenge ?? "";
      });
    const issued: string[] = [];
    for (let index = 0; index < 22; index += 1) issued.push(await issue(NOW_MS + index));
    const found = await Promise.all(
      issued.map((text) => readChallenge(place.database.reader, text, NOW_MS + 22)),
    );
    expect(found.map((one) => one !== undefined)).toEqual(issued.map((_, index) => index >= 2));
  });

  test("a row contains no secret, and opens for no other user", async () => {
    const factor = await findTotpFactor(place.database.reader, userId);
    if (factor === undefined) throw new Error("no factor");
    expect(factor.sealedSecret.includes(secret)).toBe(false);
    expect(openTotpSecret(keys.totpSecrets, factor)).toEqual(secret);
    const ofOther = { ...factor, userId: randomIds.next<UserId>(NOW_MS) };
    expect(() => openTotpSecret(keys.totpSecrets, ofOther)).toThrow();
    const rows = await place.database.reader("backup_codes").select<{ code_hash: Buffer }[]>("code_hash");
    for (const { code_hash } of rows) expect(code_hash.length).toBe(32);
  });
});

function userOf(id: UserId) {
  return {
    id,
    email: `${id}@example.test`,
    emailKey: `${id}@example.test`,
    isEmailVerified: true,
    name: "Ada",
    locale: undefined,
    passwordHash: undefined,
    isPasswordResetRequired: false,
    securityVersion: 1,
    lastOrganizationId: undefined,
    createTimeMs: NOW_MS,
    updateTimeMs: NOW_MS,
  };
}
