// Runs the identity module for tests of invitations: organizations with members of each role, and their invitations.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Role } from "@muster/authz";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import {
  type CreateInvitationRequestSchema,
  InvitationService,
} from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import type { Member } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { type ApiKeyId, canonicalEmail, type OrganizationId, randomIds, type UserId } from "@muster/core";
import type { Engine } from "@muster/db";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { insertApiKey } from "../../src/api-keys/api-key-store.ts";
import { issueApiKey } from "../../src/api-keys/issue-api-key.ts";
import type { MembershipStatus } from "../../src/memberships/membership.ts";
import { findMembership, insertMembership, saveMembership } from "../../src/memberships/membership-store.ts";
import { newOwner } from "../../src/memberships/new-owner.ts";
import { insertOrganization } from "../../src/organizations/organization-store.ts";
import { newPlaceholder, type User } from "../../src/users/user.ts";
import { insertUser } from "../../src/users/user-store.ts";
import { AccountHarness } from "../accounts/account-harness.ts";

const { acceptInvitation, createInvitation, listInvitations } = InvitationService.method;
const { verifyEmail } = AccountService.method;
const { getUser } = UserService.method;

export interface Company {
  readonly organizationId: OrganizationId;
  readonly owner: User;
  /** The owner. */
  readonly as: CallAs;
}

type Request = Partial<MessageInitShape<typeof CreateInvitationRequestSchema>>;

export class InvitationHarness {
  readonly identity: AccountHarness;

  private constructor(identity: AccountHarness) {
    this.identity = identity;
  }

  static async open(engine: Engine): Promise<InvitationHarness> {
    return new InvitationHarness(await AccountHarness.open(engine));
  }

  close(): Promise<void> {
    return this.identity.close();
  }

  async company(organizationName = "Acme"): Promise<Company> {
    const owner = await this.account();
    const nowMs = this.identity.clock.nowMs();
    const organizationId = randomIds.next<OrganizationId>(nowMs);
    const organization = {
      id: organizationId,
      name: organizationName,
      createTimeMs: nowMs,
      timeZone: "UTC",
      requiresTwoFactor: false,
      memberCount: 0,
      version: 1,
      deleteTimeMs: undefined,
      updateTimeMs: 0,
    };
    await this.identity.database.transaction(async (trx) => {
      await insertOrganization(trx, organization);
      await insertMembership(trx, newOwner(organizationId, owner, nowMs));
    });
    return { organizationId, owner, as: this.as(owner, organizationId, "owner") };
  }

  /** A user with a verified address and without a password, because hashing takes long. */
  async account(email = this.identity.newAddress()): Promise<User> {
    const nowMs = this.identity.clock.nowMs();
    const id = randomIds.next<UserId>(nowMs);
    const placeholder = newPlaceholder(id, email, canonicalEmail(email), nowMs);
    const user: User = { ...placeholder, isEmailVerified: true, name: "Ada" };
    await this.identity.database.transaction((trx) => insertUser(trx, user));
    return user;
  }

  as({ id }: User, organizationId: OrganizationId, role: Role): CallAs {
    const authenticatedMs = this.identity.clock.nowMs();
    return { user: { id, sessionId: randomIds.next(0), organizationId, role, authenticatedMs } };
  }

  /** A new account that is a member. */
  async member({ organizationId }: Company, role: Role, status: MembershipStatus = "active"): Promise<User> {
    const user = await this.account();
    const times = { createTimeMs: 1, updateTimeMs: 1, lastLoginTimeMs: undefined, loginCount: 0, version: 1 };
    await this.identity.database.transaction((trx) =>
      insertMembership(trx, { organizationId, userId: user.id, name: user.name, role, status, ...times }),
    );
    return user;
  }

  async change(
    { organizationId }: Company,
    { id }: User,
    change: { readonly role?: Role; readonly status?: MembershipStatus },
  ): Promise<void> {
    await this.identity.database.transaction(async (trx) => {
      const membership = await findMembership(trx, organizationId, id);
      if (membership !== undefined) await saveMembership(trx, membership, { ...membership, ...change });
    });
  }

  /** The key that the tests call with: its id is that of the organization. */
  async insertKey({ organizationId }: Company, scopes: readonly string[] = ["*"]): Promise<ApiKeyId> {
    const id = organizationId as string as ApiKeyId;
    const hash = Buffer.from(`${id}${id}`.replaceAll("-", ""), "hex");
    const { apiKey } = issueApiKey(
      { clock: this.identity.clock, ids: randomIds },
      { organizationId, name: "key", scopes },
    );
    await this.identity.database.transaction((trx) => insertApiKey(trx, { ...apiKey, id, hash }));
    return id;
  }

  /** Invites, and returns the token of the mail. */
  async invite(company: Company, email: string, request: Request = {}, as = company.as): Promise<string> {
    await this.identity.call(createInvitation, { email, role: RoleMessage.MEMBER, ...request }, as);
    return this.identity.mails.nextToken(email);
  }

  async accept(user: User, token: string): Promise<void> {
    await this.identity.call(acceptInvitation, { token }, this.identity.as(user));
  }

  async expectInvalid(user: User, token: string): Promise<void> {
    await expectReason(this.accept(user, token), "TOKEN_INVALID");
  }

  /** Registers with the token and follows the link of the mail. */
  async registerInvited(email: string, invitationToken: string, name = "Ada"): Promise<User> {
    await this.identity.register(email, { invitationToken, name });
    await this.identity.call(verifyEmail, { token: await this.identity.mails.nextToken(email) });
    return this.identity.userOf(email);
  }

  async memberOf(company: Company, userId: string): Promise<Member | undefined> {
    return (await this.identity.call(getUser, { userId }, company.as)).user;
  }

  async invitations({ as }: Company) {
    return (await this.identity.call(listInvitations, {}, as)).invitations;
  }
}
