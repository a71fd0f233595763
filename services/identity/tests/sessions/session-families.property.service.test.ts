// Tests random interleavings of calls on the sessions of a user: at most one live refresh token for each session, and
// no access after a session has ended.

import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { AccountTokens } from "@muster/contracts/muster/identity/v1/user_pb";
import type { OrganizationId, SessionId } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GRACE_MS } from "../../src/sessions/rotate-refresh-token.ts";
import { claimsOf, PASSWORD, type Person, SignInUnderTest, tokensOf } from "./sign-in-under-test.ts";

const { switchOrganization, logout, listSessions, deleteSession, revokeOtherSessions } =
  SessionService.method;
const { changePassword } = AccountService.method;

/** A call; the numbers choose a session and a token among those that exist. */
type Step =
  | { readonly kind: "login" }
  | { readonly kind: "refresh"; readonly session: number; readonly age: number }
  | {
      readonly kind: "switch" | "logout" | "delete" | "revoke_others" | "change_password";
      readonly session: number;
    };

/** Steps that run at once, after a pause. */
interface Round {
  readonly pauseMs: number;
  readonly steps: readonly Step[];
}

const index = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "login" }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("refresh" as const),
      session: index,
      age: fc.oneof(fc.constant(0), fc.nat({ max: 3 })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("switch", "logout", "delete", "revoke_others", "change_password"),
      session: index,
    }),
  },
);
const rounds = fc.array(
  fc.record({
    pauseMs: fc.constantFrom(0, 0, 3_000, GRACE_MS),
    steps: fc.array(step, { minLength: 1, maxLength: 5 }),
  }),
  { minLength: 1, maxLength: 8 },
);

/** A session with the tokens that a client of the user has received. */
interface Family {
  readonly id: SessionId;
  /** The newest last. */
  readonly tokens: AccountTokens[];
  /** Set for a login: the number of the password. A later password has ended the session. */
  passwordNumber: number;
  /** A call that has returned has ended the session. */
  isEnded: boolean;
}

/** Refusals of calls whose session or token another call has ended. */
const EXPECTED = new Set([
  "SESSION_ENDED",
  "UNAUTHENTICATED",
  "SESSION_NOT_FOUND",
  "LOGIN_FAILED",
  "CREDENTIALS_INVALID",
]);

class Model {
  readonly families: Family[] = [];
  readonly #identity: SignInUnderTest;
  readonly #person: Person;
  readonly #organizations: readonly OrganizationId[];
  #passwordNumber = 0;

  constructor(identity: SignInUnderTest, person: Person, organizations: readonly OrganizationId[]) {
    this.#identity = identity;
    this.#person = person;
    this.#organizations = organizations;
  }

  async run({ pauseMs, steps }: Round): Promise<void> {
    await this.#identity.clock.advance(pauseMs);
    await Promise.all(steps.map((one) => this.#attempt(one)));
    await this.#check();
  }

  async #attempt(one: Step): Promise<void> {
    try {
      await this.#step(one);
    } catch (error) {
      if (!(error instanceof AppError) || !EXPECTED.has(error.reason)) throw error;
    }
  }

  async #step(one: Step): Promise<void> {
    const identity = this.#identity;
    if (one.kind === "login") {
      const passwordNumber = this.#passwordNumber;
      const tokens = await identity.login(this.#person, { password: passwordOf(passwordNumber) });
      this.#open(tokens, passwordNumber);
      return;
    }
    const family = this.families[one.session % Math.max(1, this.families.length)];
    const newest = family?.tokens.at(-1);
    if (family === undefined || newest === undefined) return;
    const as = identity.by(newest);
    if (one.kind === "refresh") {
      const token = family.tokens.at(-1 - one.age) ?? newest;
      await this.#refresh(family, token);
    } else if (one.kind === "switch") {
      const organizationId = this.#organizations[one.session % this.#organizations.length] ?? "";
      this.#open(tokensOf(await identity.call(switchOrganization, { organizationId }, as)));
    } else if (one.kind === "logout") {
      await identity.call(logout, {}, as);
      family.isEnded = true;
    } else if (one.kind === "delete") {
      const other = this.families[(one.session + 1) % this.families.length] ?? family;
      await identity.call(deleteSession, { sessionId: other.id }, as);
      other.isEnded = true;
    } else {
      await this.#endOthers(one.kind, family, as);
    }
  }

  async #refresh(family: Family, token: AccountTokens): Promise<void> {
    try {
      family.tokens.push(await this.#identity.refresh(token.refreshToken));
    } catch (error) {
      // A late reuse ends the session.
      if (error instanceof AppError && error.reason === "SESSION_ENDED") family.isEnded = true;
      throw error;
    }
  }

  async #endOthers(
    kind: "revoke_others" | "change_password",
    family: Family,
    as: ReturnType<SignInUnderTest["by"]>,
  ): Promise<void> {
    const others = this.families.filter((other) => other !== family);
    if (kind === "revoke_others") await this.#identity.call(revokeOtherSessions, {}, as);
    else {
      const [old, next] = [this.#passwordNumber, this.#passwordNumber + 1];
      const passwords = { currentPassword: passwordOf(old), password: passwordOf(next) };
      await this.#identity.call(changePassword, passwords, as);
      this.#passwordNumber = next;
      family.passwordNumber = next;
    }
    for (const other of others) other.isEnded = true;
  }

  #open(tokens: AccountTokens, passwordNumber = Number.POSITIVE_INFINITY): void {
    const { sid } = claimsOf(tokens.accessToken);
    this.families.push({ id: sid, tokens: [tokens], passwordNumber, isEnded: false });
  }

  async #check(): Promise<void> {
    const { reader } = this.#identity.stored.database;
    const live: { session_id: Buffer }[] = await reader("refresh_tokens")
      .whereNull("used_time_ms")
      .select("session_id");
    const counts = new Map<string, number>();
    for (const row of live) {
      const id = row.session_id.toString("hex");
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
    for (const family of this.families) {
      // A login with the old password at the same time has opened nothing that lasts.
      family.isEnded ||= family.passwordNumber < this.#passwordNumber;
      if (!family.isEnded) continue;
      for (const { accessToken, refreshToken } of family.tokens) {
        const uses = [
          () => this.#identity.call(listSessions, {}, this.#identity.by({ accessToken })),
          () => this.#identity.refresh(refreshToken),
        ];
        for (const use of uses) {
          const reason = await use().then(
            () => "accepted",
            (error: unknown) => (error instanceof AppError ? error.reason : String(error)),
          );
          expect(reason).toMatch(/^(SESSION_ENDED|UNAUTHENTICATED)$/);
        }
      }
    }
  }
}

function passwordOf(number: number): string {
  return number === 0 ? PASSWORD : `${PASSWORD}, version ${number}`;
}

describe.each(ENGINES)("interleaved calls on %s", (engine) => {
  let identity: SignInUnderTest;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  test("keep one live token for each session, and no access after its end", {
    timeout: propertyTimeoutMs(120_000),
  }, async () => {
    await checkProperty(
      fc.asyncProperty(rounds, async (all) => {
        const organizations = [identity.newOrganization(), identity.newOrganization()];
        const model = new Model(identity, await identity.person({}, organizations), organizations);
        await model.run({ pauseMs: 0, steps: [{ kind: "login" }, { kind: "login" }] });
        for (const one of all) await model.run(one);
      }),
      { numRuns: 12 },
    );
  });
});
