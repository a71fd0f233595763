// Declares a membership: a user in an organization with a role.
import type { Role } from "@muster/authz";
import type { OrganizationId, UserId } from "@muster/core";

export type MembershipStatus = "invited" | "active" | "suspended";

export interface Membership {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  /** The display name within the organization. */
  readonly name: string;
  readonly role: Role;
  readonly status: MembershipStatus;
  /** The address of an invited member, in the spelling of the inviter. An account may spell the address differently. */
  readonly invitedEmail?: string | undefined;
  /** Undefined before the first login. */
  readonly lastLoginTimeMs: number | undefined;
  readonly loginCount: number;
  /** Grows with every change but those of logins. */
  readonly version: number;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}
