// Runs the identity module with organizations, and calls methods as members.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Role } from "@muster/authz";
import {
  type UpdateUserRequestSchema,
  UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import type { Engine } from "@muster/db";
import { findOrganization } from "../../src/organizations/organization-store.ts";
import { findUser } from "../../src/users/user-store.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { type SignedInOptions, type SignedInUser, signInUser } from "../signed-in-user.ts";

const methods = UserService.method;

export interface TestOrganization {
  readonly organizationId: OrganizationId;
  /** A key with every permission that ranks as a member. */
  readonly secret: string;
}

type Changes = NonNullable<MessageInitShape<typeof UpdateUserRequestSchema>["user"]>;

/** The credential of a call: a member's access token or a key. */
type Caller = Pick<SignedInUser, "token"> | TestOrganization;

export class MemberHarness {
  readonly identity: IdentityUnderTest;

  private constructor(identity: IdentityUnderTest) {
    this.identity = identity;
  }

  static async open(engine: Engine): Promise<MemberHarness> {
    return new MemberHarness(await IdentityUnderTest.open(engine));
  }

  close(): Promise<void> {
    return this.identity.close();
  }

  async organization(): Promise<TestOrganization> {
    const { organizationId, secret } = await this.identity.organization();
    return { organizationId: organizationId as OrganizationId, secret };
  }

  member(
    { organizationId }: TestOrganization,
    role: Role,
    options: Partial<SignedInOptions> = {},
  ): Promise<SignedInUser> {
    const { database, accessTokens, clock } = this.identity;
    return signInUser({ database, accessTokens, nowMs: clock.nowMs(), organizationId, role, ...options });
  }

  async memberCount({ organizationId }: TestOrganization): Promise<number | undefined> {
    return (await findOrganization(this.identity.database.reader, organizationId))?.memberCount;
  }

  async emailOf(userId: UserId): Promise<string> {
    return (await findUser(this.identity.database.reader, userId))?.email ?? "";
  }

  get(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.getUser, { userId }, { key: credentialOf(as) });
  }

  /** With the current version of the member, unless the changes name another. */
  update(as: Caller, { userId }: Pick<SignedInUser, "userId">, user: Changes) {
    const request = user.version === undefined ? { userId, user, ifMatch: "*" } : { userId, user };
    return this.identity.call(methods.updateUser, request, { key: credentialOf(as) });
  }

  remove(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.deleteUser, { userId }, { key: credentialOf(as) });
  }

  restore(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.restoreUser, { userId }, { key: credentialOf(as) });
  }

  suspend(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.suspendUser, { userId }, { key: credentialOf(as) });
  }

  reinstate(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.reinstateUser, { userId }, { key: credentialOf(as) });
  }

  revokeSessions(as: Caller, { userId }: Pick<SignedInUser, "userId">) {
    return this.identity.call(methods.revokeUserSessions, { userId }, { key: credentialOf(as) });
  }

  leave(as: Caller) {
    return this.identity.call(methods.leaveOrganization, {}, { key: credentialOf(as) });
  }
}

function credentialOf(caller: Caller): string {
  return "token" in caller ? caller.token : caller.secret;
}
