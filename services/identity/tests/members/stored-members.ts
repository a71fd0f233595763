// Stores members with given values, and reads lists of them through the service.
import type { Role } from "@muster/authz";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { canonicalEmail, type OrganizationId, randomIds, type UserId } from "@muster/core";
import type { MembershipStatus } from "../../src/memberships/membership.ts";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { insertUser } from "../../src/users/user-store.ts";
import type { IdentityUnderTest } from "../identity-under-test.ts";

const { listUsers } = UserService.method;

export interface StoredMember {
  readonly name: string;
  readonly email?: string;
  readonly role?: Role;
  readonly status?: MembershipStatus;
  readonly isVerified?: boolean;
  readonly lastLoginTimeMs?: number | undefined;
  readonly loginCount?: number;
  readonly createTimeMs?: number;
  readonly updateTimeMs?: number;
}

export interface ListArguments {
  readonly filter?: string;
  readonly q?: string;
  readonly sort?: string;
  readonly include?: string[];
  readonly fields?: { readonly paths: string[] };
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** An organization with members. */
export class StoredMembers {
  readonly organizationId: OrganizationId;
  readonly #identity: IdentityUnderTest;
  readonly #key: string;
  #added = 0;

  private constructor(identity: IdentityUnderTest, organizationId: OrganizationId, key: string) {
    this.#identity = identity;
    this.organizationId = organizationId;
    this.#key = key;
  }

  static async open(identity: IdentityUnderTest): Promise<StoredMembers> {
    const { organizationId, secret } = await identity.organization();
    return new StoredMembers(identity, organizationId as OrganizationId, secret);
  }

  /** The id of a new member, who is a new person unless an id is given. */
  async add(member: StoredMember, person?: UserId): Promise<UserId> {
    const nowMs = this.#identity.clock.nowMs();
    // A millisecond later each, so that ids are in the order of the calls.
    this.#added += 1;
    const userId = person ?? randomIds.next<UserId>(nowMs + this.#added);
    const { name, role = "member", status = "active", loginCount = 0, lastLoginTimeMs } = member;
    const { email = `${userId}@example.com`, isVerified = true } = member;
    const { createTimeMs = nowMs, updateTimeMs = nowMs } = member;
    await this.#identity.database.transaction(async (trx) => {
      if (person === undefined) {
        await insertUser(trx, {
          id: userId,
          email,
          emailKey: canonicalEmail(email),
          isEmailVerified: isVerified,
          name,
          locale: undefined,
          passwordHash: undefined,
          isPasswordResetRequired: false,
          securityVersion: 1,
          lastOrganizationId: undefined,
          createTimeMs: nowMs,
          updateTimeMs: nowMs,
        });
      }
      const { organizationId } = this;
      const counts = { lastLoginTimeMs, loginCount, version: 1, createTimeMs, updateTimeMs };
      await insertMembership(trx, { organizationId, userId, name, role, status, ...counts });
    });
    return userId;
  }

  list(list: ListArguments = {}) {
    return this.#identity.call(listUsers, list, { key: this.#key });
  }

  async names(list: ListArguments = {}): Promise<string[]> {
    return (await this.list({ pageSize: 500, ...list })).users.map(({ name }) => name);
  }

  /** The names of every page. */
  async walk(list: ListArguments, betweenPages: () => Promise<void> = async () => {}): Promise<string[][]> {
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await this.list({ ...list, pageToken });
      pages.push(page.users.map(({ name }) => name));
      pageToken = page.nextPageToken;
      await betweenPages();
    } while (pageToken !== "");
    return pages;
  }
}
