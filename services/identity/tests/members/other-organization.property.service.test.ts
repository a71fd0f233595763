// Tests that the responses of an organization about a member are equal, byte for byte, before and after all changes by a
// second organization of the same person.
import { createHash } from "node:crypto";
import { create, type DescMethodUnary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordLogin } from "../../src/memberships/membership-store.ts";
import { findOrganization } from "../../src/organizations/organization-store.ts";
import { type Member, PrivacyUnderTest } from "../privacy/privacy-under-test.ts";
import { zipEntries } from "../privacy/zip-entries.ts";

const users = UserService.method;
const organizations = OrganizationService.method;
const analytics = LoginAnalyticsService.method;

/** Cases of a round. */
const CASES = 6;
const ACTS = [
  "rename",
  "promote",
  "demote",
  "suspend",
  "reinstate",
  "remove",
  "restore",
  "leave",
  "invite",
  "cancel invitation",
  "log in",
  "end sessions",
  "export",
  "make key",
  "rename organization",
  "require second factor",
  "request deletion",
  "approve deletion",
  "request end",
] as const;
type Act = (typeof ACTS)[number];
/** Reasons of B to refuse an act that does not fit the state of the member. */
const REFUSALS = new Set([
  "ALREADY_INVITED",
  "DELETION_REQUEST_DECIDED",
  "PERMISSION_DENIED",
  "SESSION_ENDED",
  "USER_EXISTS",
  "USER_INVITED",
  "USER_NOT_FOUND",
]);

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

  interface Place {
    readonly a: OrganizationId;
    readonly b: OrganizationId;
    readonly person: UserId;
    readonly ownerOfA: Member;
    readonly ownerOfB: Member;
    readonly memberOfA: Member;
    readonly memberOfB: Member;
  }

  async function newPlace(): Promise<Place> {
    const [a, b] = [await identity.organization(), await identity.organization()];
    const person = await identity.person("Ada Lovelace");
    const ownerOfA = await identity.member(a, "owner", "Grace of A");
    const ownerOfB = await identity.member(b, "owner", "Eve of B");
    const memberOfA = await identity.join(person, a, "member", "Ada of A");
    const memberOfB = await identity.join(person, b, "member", "Ada of B");
    await identity.addSessions(person, a, ["Browser of A"]);
    await logIn(a, person);
    return { a, b, person, ownerOfA, ownerOfB, memberOfA, memberOfB };
  }

  const logIn = (organizationId: OrganizationId, userId: UserId) =>
    identity.database.transaction((trx) => recordLogin(trx, organizationId, userId, identity.clock.nowMs()));

  /** Digests of every response of A about its members, by read. */
  async function readsOf({ a, person, ownerOfA, memberOfA }: Place): Promise<Record<string, string>> {
    const digests: Record<string, string> = {};
    const read = async <M extends DescMethodUnary>(
      name: string,
      method: M,
      request: MessageInitShape<M["input"]>,
      as = ownerOfA.as,
    ) => {
      const response = await identity.call(method, request, as);
      const message = create(method.output, response as never);
      // The time of the read.
      if ("asOf" in message) message.asOf = undefined;
      digests[name] = digestOf(toBinary(method.output, message));
    };
    await read("user", users.getUser, { userId: person });
    await read("own row", users.getUser, { userId: person }, memberOfA.as);
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
    const { body } = await identity.download(await identity.exported(person, ownerOfA.as), ownerOfA.as);
    for (const [name, content] of zipEntries(body)) {
      if (name !== "manifest.json") digests[name] = digestOf(content);
    }
    return digests;
  }

  async function act(place: Place, kind: Act): Promise<unknown> {
    const { b, person: userId, ownerOfB, memberOfB } = place;
    const { as } = ownerOfB;
    const change = (user: object) => identity.call(users.updateUser, { userId, user, ifMatch: "*" }, as);
    switch (kind) {
      case "rename":
        return change({ name: "Ada, renamed by B" });
      case "promote":
        return change({ role: RoleMessage.OWNER });
      case "demote":
        return change({ role: RoleMessage.AUDITOR });
      case "suspend":
        return identity.call(users.suspendUser, { userId }, as);
      case "reinstate":
        return identity.call(users.reinstateUser, { userId }, as);
      case "remove":
        return identity.call(users.deleteUser, { userId, revokeApiKeys: true }, as);
      case "restore":
        return identity.call(users.restoreUser, { userId }, as);
      case "leave":
        return identity.call(users.leaveOrganization, {}, memberOfB.as);
      case "invite":
        return identity.call(
          users.createUser,
          { email: `${userId}@example.com`, name: "Ada, invited by B", role: RoleMessage.MEMBER },
          as,
        );
      case "cancel invitation":
        return cancelInvitation(place);
      case "log in":
        return logIn(b, userId);
      case "end sessions":
        return identity.call(users.revokeUserSessions, { userId }, as);
      case "export":
        return identity.exported(userId, as);
      case "make key":
        return identity.call(
          ApiKeyService.method.createApiKey,
          { name: "Key of B", scopes: ["events.read"] },
          memberOfB.as,
        );
      case "rename organization":
        return identity.call(
          organizations.updateOrganization,
          { organizationId: b, organization: { name: "B, renamed" } },
          as,
        );
      case "require second factor":
        return identity.call(
          organizations.updateOrganization,
          { organizationId: b, organization: { requireTwoFactor: true } },
          as,
        );
      case "request deletion":
        return identity.call(DeletionRequestService.method.createDeletionRequest, { userId }, memberOfB.as);
      case "approve deletion":
        return approveDeletion(place);
      case "request end":
        return identity.call(organizations.deleteOrganization, { organizationId: b }, as);
    }
  }

  async function cancelInvitation({ ownerOfB: { as } }: Place): Promise<void> {
    const { listInvitations, deleteInvitation } = InvitationService.method;
    for (const { id } of (await identity.call(listInvitations, {}, as)).invitations) {
      await identity.call(deleteInvitation, { invitationId: id }, as);
    }
  }

  async function approveDeletion({ ownerOfB: { as } }: Place): Promise<void> {
    const { listDeletionRequests, approveDeletionRequest } = DeletionRequestService.method;
    const { deletionRequests } = await identity.call(listDeletionRequests, {}, as);
    for (const { id } of deletionRequests) {
      await identity.call(approveDeletionRequest, { deletionRequestId: id }, as);
    }
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

  test("reads of the one do not depend on the other", { timeout: propertyTimeoutMs(120_000) }, async () => {
    const acts = fc.array(fc.constantFrom(...ACTS), { minLength: 4, maxLength: 14 });
    await checkProperty(
      fc.asyncProperty(acts, fc.boolean(), async (kinds, closes) => {
        const place = await newPlace();
        const before = await readsOf(place);
        for (const kind of kinds) {
          await act(place, kind).catch((error: unknown) => {
            if (!(error instanceof AppError && REFUSALS.has(error.reason))) throw error;
          });
        }
        if (closes) await close(place);
        expect(await readsOf(place)).toEqual(before);
      }),
      { numRuns: CASES },
    );
  });
});

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
