// Runs the identity module with users that have passwords and second factors, and makes the codes of their
// authenticators.

import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { randomIds, type SessionId, type UserId } from "@muster/core";
import type { Engine } from "@muster/db";
import { identityModule } from "@muster/service-identity";
import { FakeClock, oathtoolCode } from "@muster/testkit";
import type { CallingUser } from "@muster/testkit/module";
import { type ModuleOptions, ModuleUnderTest, startParts } from "@muster/testkit/module";
import { insertSession } from "../../src/sessions/session-store.ts";
import { issueChallenge } from "../../src/two-factor/challenge.ts";
import type { DeviceOfLogin } from "../../src/two-factor/challenge-store.ts";
import type { User } from "../../src/users/user.ts";
import { insertUser, lockUser, saveUser } from "../../src/users/user-store.ts";

const { enrollTwoFactor, confirmTwoFactor, loginWithTwoFactor, reauthenticate } = TwoFactorService.method;

const STEP_MS = 30_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** A user with a session, and with an authenticator once it is enrolled. */
export interface TestUser {
  readonly id: UserId;
  readonly email: string;
  readonly session: CallingUser;
}

export interface EnabledUser extends TestUser {
  readonly secret: string;
  readonly backupCodes: readonly string[];
}

export class TwoFactorUnderTest extends ModuleUnderTest {
  declare readonly clock: FakeClock;

  static async open(engine: Engine, options: ModuleOptions = {}): Promise<TwoFactorUnderTest> {
    // The start of a time step.
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    return new TwoFactorUnderTest(await startParts(identityModule, engine, { clock, ...options }));
  }

  /** A verified user with a session in which the password was entered at sign-in. */
  async user(change: Partial<User> = {}, { isSteppedUp = true } = {}): Promise<TestUser> {
    const nowMs = this.clock.nowMs();
    const id = randomIds.next<UserId>(nowMs);
    const email = `user-${id}@example.test`;
    const user: User = {
      id,
      email,
      emailKey: email,
      isEmailVerified: true,
      name: "Ada",
      locale: undefined,
      passwordHash: undefined,
      isPasswordResetRequired: false,
      securityVersion: 1,
      lastOrganizationId: undefined,
      createTimeMs: nowMs,
      updateTimeMs: nowMs,
      ...change,
    };
    await this.stored.database.transaction((trx) => insertUser(trx, user));
    return { id, email: user.email, session: await this.session(id, { isSteppedUp }) };
  }

  async session(userId: UserId, { isSteppedUp = true } = {}): Promise<CallingUser> {
    const nowMs = this.clock.nowMs();
    const sessionId = randomIds.next<SessionId>(nowMs);
    const authenticatedMs = isSteppedUp ? nowMs : undefined;
    await this.stored.database.transaction((trx) =>
      insertSession(trx, {
        id: sessionId,
        userId,
        organizationId: undefined,
        createTimeMs: nowMs,
        lastUsedTimeMs: nowMs,
        authenticatedTimeMs: authenticatedMs,
        authenticationMethods: [],
        expireTimeMs: nowMs + 24 * HOUR_MS * 30,
        endTimeMs: undefined,
        client: "",
        clientAddress: "",
      }),
    );
    return { id: userId, sessionId, authenticatedMs };
  }

  /** Enrolls and confirms with the code of the current step. */
  async enable(user: TestUser): Promise<EnabledUser> {
    const { secret } = await this.call(enrollTwoFactor, {}, { user: user.session });
    const code = await this.code(secret);
    const { backupCodes } = await this.call(confirmTwoFactor, { code }, { user: user.session });
    return { ...user, secret, backupCodes };
  }

  /** A user with a second factor whose current code is not used yet. */
  async enabledUser(): Promise<EnabledUser> {
    const user = await this.enable(await this.user());
    this.nextStep();
    return user;
  }

  /** Moves the clock to the start of the next time step. */
  nextStep(): void {
    this.passTime(STEP_MS - (this.clock.nowMs() % STEP_MS));
  }

  /** Moves the time, but wakes no worker. */
  passTime(ms: number): void {
    this.clock.setNowMs(this.clock.nowMs() + ms);
  }

  /** By oathtool; `offset` counts steps from the current one. */
  code(secret: string, offset = 0): Promise<string> {
    return oathtoolCode(secret, this.clock.nowMs() + offset * STEP_MS);
  }

  /** As a login does after the right password. */
  async challenge(
    { id }: TestUser,
    method: "password" | "magic_link" = "password",
    device?: DeviceOfLogin,
  ): Promise<string> {
    return this.stored.database.transaction(async (trx) => {
      const user = await lockUser(trx, id);
      if (user === undefined) throw new Error("no such user");
      const { details } = await issueChallenge(trx, user, method, this.clock.nowMs(), device);
      return details.challenge ?? "";
    });
  }

  /** As a change of the address or the password does. */
  async changeSecurityVersion({ id }: TestUser): Promise<void> {
    await this.stored.database.transaction(async (trx) => {
      const user = await lockUser(trx, id);
      if (user === undefined) throw new Error("no such user");
      await saveUser(trx, { ...user, securityVersion: user.securityVersion + 1 });
    });
  }

  /** The token of the next mail to the user whose link opens this page. Other mails before it are skipped. */
  async mailedToken({ email }: TestUser, page: string): Promise<string> {
    for (;;) {
      const { text } = await this.mails.next(email);
      const [, token] = new RegExp(`/m/${page}#token=(\\S+)`).exec(text) ?? [];
      if (token !== undefined) return token;
    }
  }

  async login(user: TestUser, code: string): Promise<unknown> {
    return this.call(loginWithTwoFactor, { challenge: await this.challenge(user), code });
  }

  stepUp(user: TestUser, code: string): Promise<unknown> {
    return this.call(reauthenticate, { credential: { case: "code", value: code } }, { user: user.session });
  }
}

/** The reason of a refusal, or "accepted". */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "accepted",
    (error: { readonly reason?: string }) => error.reason ?? String(error),
  );
}

/** How often each outcome came. */
export async function outcomesOf(calls: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const outcomes = await Promise.all(calls.map(outcomeOf));
  const counts: Record<string, number> = {};
  for (const outcome of outcomes.sort()) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
