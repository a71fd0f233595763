// Tests that three organizations with shared members keep an active owner, whatever ends the access of owners at the same
// time, and that no deadlock reaches a caller.
import { ROLES, type Role } from "@muster/authz";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type OrganizationId, randomIds, type SessionId, type UserId, uuidToBytes } from "@muster/core";
import type { Engine } from "@muster/db";
import { AppError } from "@muster/errors";
import { identityModule } from "@muster/service-identity";
import { ENGINES } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import { type CallAs, ModuleUnderTest, startParts } from "@muster/testkit/module";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Membership } from "../../src/memberships/membership.ts";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { issueOneTimeToken } from "../../src/one-time-tokens/one-time-token-store.ts";
import { createdOrganization } from "../../src/organizations/organization.ts";
import { insertOrganization } from "../../src/organizations/organization-store.ts";
import type { User } from "../../src/users/user.ts";
import { insertUser } from "../../src/users/user-store.ts";

const { updateUser, deleteUser, restoreUser, suspendUser, reinstateUser, leaveOrganization } =
  UserService.method;

const ORGANIZATIONS = 3;
const PERSONS = 4;
/** Cases of a round: `make test-long` runs a hundred rounds, and so 1,000 cases on each engine. */
const CASES = 10;
/** No other outcome is right; a deadlock would be UNAVAILABLE. */
const REFUSALS = new Set([
  "LAST_OWNER",
  "PERMISSION_DENIED",
  "USER_NOT_FOUND",
  "USER_EXISTS",
  "SESSION_ENDED",
  // The account was deleted already.
  "TOKEN_INVALID",
]);

const KINDS = ["demote", "promote", "leave", "remove", "restore", "suspend", "reinstate", "erase"] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly organization: number;
  readonly actor: number;
  readonly target: number;
}

const person = fc.nat({ max: PERSONS - 1 });
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("demote", "leave", "remove", "suspend", "erase") },
    { weight: 1, arbitrary: fc.constantFrom("promote", "restore", "reinstate") },
  ),
  organization: fc.nat({ max: ORGANIZATIONS - 1 }),
  actor: person,
  target: person,
});
/** Of each organization the roles of its members, with owners more often than not. */
const roles = fc.array(
  fc.tuple(
    ...Array.from({ length: PERSONS }, () =>
      fc.oneof({ weight: 3, arbitrary: fc.constant<Role>("owner") }, fc.constantFrom<Role>(...ROLES)),
    ),
  ),
  { minLength: ORGANIZATIONS, maxLength: ORGANIZATIONS },
);
const waves = fc.array(fc.array(step, { minLength: 2, maxLength: 8 }), { minLength: 1, maxLength: 3 });
/**
 * The last waves of a case, so that every case reaches the last owner and deletes accounts, whatever was before: at most
 * one person stays for each organization.
 */
const lastWaves = (["leave", "erase"] as const).map((kind) =>
  Array.from({ length: PERSONS }, (_, actor): Step => ({ kind, organization: 0, actor, target: actor })),
);

describe.each(ENGINES)("owners on %s", (engine: Engine) => {
  let identity: ModuleUnderTest;
  let erasures = 0;
  const refusals = new Map<string, number>();

  beforeAll(async () => {
    identity = new ModuleUnderTest(await startParts(identityModule, engine));
  });
  afterAll(() => identity.close());

  interface Place {
    readonly organizations: readonly OrganizationId[];
    readonly persons: readonly UserId[];
  }

  async function newPlace(rolesOf: readonly (readonly Role[])[]): Promise<Place> {
    const nowMs = identity.clock.nowMs();
    const organizations = rolesOf.map(() => randomIds.next<OrganizationId>(nowMs));
    const persons = Array.from({ length: PERSONS }, () => randomIds.next<UserId>(nowMs));
    await identity.database.transaction(async (trx) => {
      for (const id of persons) await insertUser(trx, userOf(id, nowMs));
      for (const [index, id] of organizations.entries()) {
        const organization = { id, name: "Acme", timeZone: "UTC", createTimeMs: nowMs };
        await insertOrganization(trx, createdOrganization(organization));
        for (const [number, userId] of persons.entries()) {
          // Somebody is an owner from the start.
          const role = number === index ? "owner" : (rolesOf[index]?.[number] ?? "member");
          await insertMembership(trx, membershipOf(id, userId, role, nowMs));
        }
      }
    });
    return { organizations, persons };
  }

  function run(
    { organizations, persons }: Place,
    { kind, organization, actor, target }: Step,
  ): Promise<unknown> {
    const organizationId = organizations[organization] as OrganizationId;
    const userId = persons[target] as UserId;
    const as = callerOf(persons[actor] as UserId, organizationId, identity.clock.nowMs());
    switch (kind) {
      case "demote":
        return identity.call(updateUser, { userId, user: { role: RoleMessage.ADMIN }, ifMatch: "*" }, as);
      case "promote":
        return identity.call(updateUser, { userId, user: { role: RoleMessage.OWNER }, ifMatch: "*" }, as);
      case "leave":
        return identity.call(leaveOrganization, {}, as);
      case "remove":
        return identity.call(deleteUser, { userId }, as);
      case "restore":
        return identity.call(restoreUser, { userId }, as);
      case "suspend":
        return identity.call(suspendUser, { userId }, as);
      case "reinstate":
        return identity.call(reinstateUser, { userId }, as);
      case "erase":
        return erase(userId);
    }
  }

  /** Follows the link that the person has received by mail. */
  async function erase(userId: UserId): Promise<void> {
    const createTimeMs = identity.clock.nowMs();
    const token = await identity.database.transaction((trx) =>
      issueOneTimeToken(trx, {
        purpose: "delete_account",
        userId,
        securityVersion: 1,
        details: {},
        createTimeMs,
        expireTimeMs: createTimeMs + 3_600_000,
      }),
    );
    await identity.call(PrivacyService.method.confirmAccountDeletion, { token });
    erasures += 1;
  }

  /** Owners whose account was deleted do not count. */
  async function hasActiveOwner(id: OrganizationId): Promise<boolean> {
    const { reader } = identity.database;
    const owners = await reader("memberships")
      .join("users", "users.id", "memberships.user_id")
      .where({ organization_id: uuidToBytes(id), role: Buffer.from("owner"), status: Buffer.from("active") })
      .select("users.id");
    return owners.length > 0;
  }

  async function outcome(place: Place, one: Step): Promise<void> {
    try {
      await run(place, one);
    } catch (error) {
      if (isStall(error)) return;
      const { reason, cause } =
        error instanceof AppError ? error : { reason: String(error), cause: undefined };
      expect(REFUSALS, `${one.kind}: ${reason} because of ${String(cause)}`).toContain(reason);
      refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
    }
  }

  test(
    "every organization keeps an active owner",
    async () => {
      await checkProperty(
        fc.asyncProperty(roles, waves, async (rolesOf, steps) => {
          const place = await newPlace(rolesOf);
          for (const wave of [...steps, ...lastWaves]) {
            await Promise.all(wave.map((one) => outcome(place, one)));
            for (const id of place.organizations) {
              expect(await hasActiveOwner(id), `an owner of ${id}`).toBe(true);
            }
          }
        }),
        { numRuns: CASES, endOnFailure: true },
      );
      // Otherwise the cases have never come close to the last owner.
      expect(refusals.get("LAST_OWNER") ?? 0).toBeGreaterThan(0);
      expect(erasures).toBeGreaterThan(0);
    },
    propertyTimeoutMs(120_000),
  );
});

/**
 * Whether the process or the database stood still for seconds, as on a machine with much other work: a lock wait or the
 * whole transaction took too long, or the server ended the session. A deadlock is a TransactionConflict.
 */
function isStall(error: unknown): boolean {
  if (!(error instanceof AppError) || error.reason !== "UNAVAILABLE") return false;
  const { cause } = error;
  return cause instanceof Error && cause.name !== "TransactionConflict";
}

/** The handlers read the current role, so the credential has the role that permits every call. */
function callerOf(id: UserId, organizationId: OrganizationId, nowMs: number): CallAs {
  const sessionId = randomIds.next<SessionId>(nowMs);
  return { user: { id, sessionId, organizationId, role: "owner", authenticatedMs: nowMs } };
}

function userOf(id: UserId, nowMs: number): User {
  const email = `${id}@example.com`;
  return {
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
  };
}

function membershipOf(organizationId: OrganizationId, userId: UserId, role: Role, nowMs: number): Membership {
  return {
    organizationId,
    userId,
    name: "Ada",
    role,
    status: "active",
    lastLoginTimeMs: undefined,
    loginCount: 0,
    version: 1,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
}
