// Tests that the responses of an organization about a member are equal, byte for byte, before and after all changes by a
// second organization of the same person.
import { createHash } from "node:crypto";
import { create, type DescMethodUnary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import { expectReason } from "@muster/testkit/module";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findOrganization } from "../../src/organizations/organization-store.ts";
import { type Member, PrivacyUnderTest } from "../privacy/privacy-under-test.ts";
import { zipEntries } from "../privacy/zip-entries.ts";
import { ACTS, act, logIn, type Place, REFUSALS } from "./acts-of-organization.ts";

const users = UserService.method;
const organizations = OrganizationService.method;
const analytics = LoginAnalyticsService.method;

/** What the person is in A. */
const STATES = ["active", "invited", "suspended", "removed"] as const;
type State = (typeof STATES)[number];
/** Cases of a round, for each state. */
const CASES = 2;
const FILTERS = [
  "name==*ada*",
  "status==active",
  "status==suspended",
  "status==invited",
  "role==member",
  "verified==true",
  "login_count>0",
  "last_login_at>=2000-01-01",
  "updated_at>=2000-01-01",
];
const SORTS = ["name", "-last_login_at", "-login_count", "email", "-updated_at", "role,status"];

describe.each(ENGINES)("a member of two organizations on %s", (engine) => {
  let identity: PrivacyUnderTest;

  beforeAll(async () => {
    identity = await PrivacyUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  async function newPlace(state: State): Promise<Place> {
    const [a, b] = [await identity.organization(), await identity.organization()];
    const person = await identity.person("Ada Lovelace");
    const ownerOfA = await identity.member(a, "owner", "Grace of A");
    const ownerOfB = await identity.member(b, "owner", "Eve of B");
    const joined = await joinA(state, a, person, ownerOfA);
    const memberOfB = await identity.join(person, b, "member", "Ada of B");
    const memberOfA = state === "active" ? joined : undefined;
    return { a, b, person, ownerOfA, ownerOfB, memberOfA, memberOfB };
  }

  async function joinA(
    state: State,
    a: OrganizationId,
    userId: UserId,
    { as }: Member,
  ): Promise<Member | undefined> {
    if (state === "invited") {
      const request = { email: `${userId}@example.com`, name: "Ada of A", role: RoleMessage.MEMBER };
      await identity.call(users.createUser, request, as);
      return undefined;
    }
    const member = await identity.join(userId, a, "member", "Ada of A");
    await identity.addSessions(userId, a, ["Browser of A"]);
    await logIn(identity, a, userId);
    if (state === "suspended") await identity.call(users.suspendUser, { userId }, as);
    if (state === "removed") await identity.call(users.deleteUser, { userId }, as);
    return member;
  }

  /** Digests of every response of A about its members, by read; of a refused read the reason. */
  async function readsOf({ a, person, ownerOfA, memberOfA }: Place): Promise<Record<string, string>> {
    const digests: Record<string, string> = {};
    const read = async <M extends DescMethodUnary>(
      name: string,
      method: M,
      request: MessageInitShape<M["input"]>,
      as = ownerOfA.as,
    ) => {
      const response = await identity.call(method, request, as).catch(reasonOf);
      if (typeof response === "string") {
        digests[name] = response;
        return;
      }
      const message = create(method.output, response as never);
      // The time of the read.
      if ("asOf" in message) message.asOf = undefined;
      digests[name] = digestOf(toBinary(method.output, message));
    };
    await read("user", users.getUser, { userId: person });
    if (memberOfA !== undefined) await read("own row", users.getUser, { userId: person }, memberOfA.as);
    await read("all", users.listUsers, { include: ["orgs", "roles"] });
    await read("words", users.listUsers, { q: "ada" });
    await read("other words", users.listUsers, { q: "of b" });
    for (const filter of FILTERS) await read(filter, users.listUsers, { filter });
    for (const sort of SORTS) await read(sort, users.listUsers, { sort });
    await read("organization", organizations.getOrganization, { organizationId: a });
    await read("invitations", InvitationService.method.listInvitations, {});
    await read("keys", ApiKeyService.method.listApiKeys, {});
    await read("deletion requests", DeletionRequestService.method.listDeletionRequests, {});
    await read("top logins", analytics.listTopLogins, { window: "7d" });
    for (const window of ["hour", "month"]) await read(window, analytics.listInactiveUsers, { window });
    await read("login stats", analytics.getLoginStats, { organizationId: a, window: "7d" });
    const token = await identity.exported(person, ownerOfA.as).catch((error: unknown) => {
      digests.export = reasonOf(error);
    });
    if (token === undefined) return digests;
    const { body } = await identity.download(token, ownerOfA.as);
    for (const [name, content] of zipEntries(body)) {
      if (name !== "manifest.json") digests[name] = digestOf(content);
    }
    return digests;
  }

  /** The deletion of B takes effect, as it does seven days after the request. */
  async function close({ b }: Place): Promise<void> {
    const { database, clock } = identity;
    const deleteTimeMs = clock.nowMs();
    await database.transaction(async (trx) => {
      await trx("organizations").where("id", uuidToBytes(b)).update({ delete_time_ms: deleteTimeMs });
    });
    await waitFor(async () => {
      await clock.advance(500);
      return (await findOrganization(database.reader, b)) === undefined;
    });
  }

  /** A restores the removed person as before, unless B has erased the account, with its only membership. */
  async function expectRestorable({ person, ownerOfA }: Place): Promise<void> {
    const rows = await identity.database.reader("users").where("id", uuidToBytes(person));
    const call = identity.call(users.restoreUser, { userId: person }, ownerOfA.as);
    if (rows.length === 0) {
      await expectReason(call, "USER_NOT_FOUND");
      return;
    }
    expect((await call).user).toMatchObject({
      name: "Ada of A",
      role: RoleMessage.MEMBER,
      status: MemberStatus.ACTIVE,
      loginCount: 1n,
      version: 2n,
    });
  }

  const acts = fc.array(fc.constantFrom(...ACTS), { minLength: 4, maxLength: 12 });

  test.each(STATES)(
    "reads of the one do not depend on the other, for a person who is %s",
    async (state) => {
      await checkProperty(
        fc.asyncProperty(acts, fc.boolean(), async (kinds, closes) => {
          const place = await newPlace(state);
          const before = await readsOf(place);
          for (const kind of kinds) {
            await act(identity, place, kind).catch((error: unknown) => {
              if (!REFUSALS.has(reasonOf(error))) throw error;
            });
          }
          if (closes) await close(place);
          expect(await readsOf(place)).toEqual(before);
          if (state === "removed") await expectRestorable(place);
        }),
        { numRuns: CASES },
      );
    },
    propertyTimeoutMs(120_000),
  );
});

function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.reason;
  throw error;
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
