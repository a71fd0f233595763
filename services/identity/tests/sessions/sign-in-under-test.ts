// Runs the identity module with users that have passwords and memberships, and signs them in.
import { CachingCredentialVerifier } from "@muster/authz";
import { type LoginResponse, SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { AccountTokens } from "@muster/contracts/muster/identity/v1/user_pb";
import {
  canonicalEmail,
  type OrganizationId,
  randomIds,
  type SessionId,
  systemClock,
  type UserId,
} from "@muster/core";
import type { Engine } from "@muster/db";
import { identityModule, ownCredentials } from "@muster/service-identity";
import { FakeClock, waitFor } from "@muster/testkit";
import { type CallAs, type ModuleOptions, ModuleUnderTest, startParts } from "@muster/testkit/module";
import type { Membership } from "../../src/memberships/membership.ts";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { createdOrganization } from "../../src/organizations/organization.ts";
import { findOrganization, insertOrganization } from "../../src/organizations/organization-store.ts";
import { Passwords } from "../../src/passwords/passwords.ts";
import type { User } from "../../src/users/user.ts";
import { findUser, insertUser } from "../../src/users/user-store.ts";

const { login, refreshToken } = SessionService.method;

export const MINUTE_MS = 60_000;
export const PASSWORD = "a quiet lake at noon";
const passwords = new Passwords({ clock: systemClock, slots: 4 });
const passwordHash = passwords.hash(PASSWORD);

export interface Person {
  readonly id: UserId;
  readonly email: string;
}

export interface SignIn {
  readonly password?: string;
  /** Address of the client. */
  readonly client?: string;
  readonly deviceToken?: string | undefined;
  readonly idempotencyKey?: string;
}

export class SignInUnderTest extends ModuleUnderTest {
  declare readonly clock: FakeClock;

  static async open(engine: Engine, options: ModuleOptions = {}): Promise<SignInUnderTest> {
    const clock = new FakeClock();
    const credentials: ModuleOptions["credentials"] = (platform) =>
      new CachingCredentialVerifier({
        ...platform,
        lookups: ownCredentials(platform.database, platform.clock),
        broadcasts: platform.bus,
      });
    return new SignInUnderTest(await startParts(identityModule, engine, { clock, credentials, ...options }));
  }

  /** A verified user with {@link PASSWORD} and an active membership in each organization. */
  async person(change: Partial<User> = {}, organizations: readonly OrganizationId[] = []): Promise<Person> {
    const nowMs = this.clock.nowMs();
    const id = randomIds.next<UserId>(nowMs);
    const email = change.email ?? `user-${id}@example.test`;
    const user: User = {
      id,
      email,
      emailKey: canonicalEmail(email),
      isEmailVerified: true,
      name: "Ada",
      locale: undefined,
      passwordHash: await passwordHash,
      isPasswordResetRequired: false,
      securityVersion: 1,
      lastOrganizationId: undefined,
      createTimeMs: nowMs,
      updateTimeMs: nowMs,
      ...change,
    };
    await this.stored.database.transaction((trx) => insertUser(trx, user));
    for (const organizationId of organizations) await this.join(id, organizationId);
    return { id, email };
  }

  async join(
    userId: UserId,
    organizationId: OrganizationId,
    change: Partial<Membership> = {},
  ): Promise<void> {
    const nowMs = this.clock.nowMs();
    await this.stored.database.transaction(async (trx) => {
      if ((await findOrganization(trx, organizationId)) === undefined) {
        const organization = { id: organizationId, name: "Acme", timeZone: "UTC", createTimeMs: nowMs };
        await insertOrganization(trx, createdOrganization(organization));
      }
      await insertMembership(trx, {
        organizationId,
        userId,
        name: "Ada",
        role: "member",
        status: "active",
        lastLoginTimeMs: undefined,
        loginCount: 0,
        version: 1,
        createTimeMs: nowMs,
        updateTimeMs: nowMs,
        ...change,
      });
    });
  }

  newOrganization(): OrganizationId {
    return randomIds.next<OrganizationId>(this.clock.nowMs());
  }

  async user(id: UserId): Promise<User> {
    const user = await findUser(this.stored.database.reader, id);
    if (user === undefined) throw new Error("no such user");
    return user;
  }

  /** The tokens of a login. */
  async login({ email }: Pick<Person, "email">, signIn: SignIn = {}): Promise<AccountTokens> {
    return tokensOf(await this.loginResponse(email, signIn));
  }

  loginResponse(email: string, signIn: SignIn = {}): Promise<LoginResponse> {
    const { password = PASSWORD, deviceToken, idempotencyKey } = signIn;
    const as = { ...this.from(signIn.client), idempotencyKey };
    return this.call(login, { email, password, ...(deviceToken === undefined ? {} : { deviceToken }) }, as);
  }

  async refresh(token: string): Promise<AccountTokens> {
    return tokensOf(await this.call(refreshToken, { refreshToken: token }, this.from()));
  }

  /** A call that the gateway forwards for a client. */
  from(address = "203.0.113.1", userAgent = "a test"): CallAs {
    const headers = { "muster-client-address": address, "muster-client-user-agent": userAgent };
    return { service: "gateway", headers };
  }

  /** A call with the access token. */
  by({ accessToken }: Pick<AccountTokens, "accessToken">): CallAs {
    return { ...this.from(), key: accessToken };
  }

  /** Lets the fake time pass in which workers do what is due. */
  async whenDue(condition: () => Promise<boolean>): Promise<void> {
    await waitFor(async () => {
      await this.clock.advance(1);
      return condition();
    });
  }
}

export interface Claims {
  readonly sub: UserId;
  readonly sid: SessionId;
  readonly org?: OrganizationId;
}

export function claimsOf(accessToken: string): Claims {
  const [, payload = ""] = accessToken.split(".");
  return JSON.parse(Buffer.from(payload, "base64url").toString()) as Claims;
}

export function tokensOf({ tokens }: { readonly tokens?: AccountTokens | undefined }): AccountTokens {
  if (tokens === undefined) throw new Error("the response has no tokens");
  return tokens;
}
