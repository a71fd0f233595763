// Makes the membership of the user who creates an organization.
import type { OrganizationId } from "@muster/core";
import type { User } from "../users/user.ts";
import type { Membership } from "./membership.ts";

export function newOwner(organizationId: OrganizationId, user: User, nowMs: number): Membership {
  return {
    organizationId,
    userId: user.id,
    name: user.name,
    role: "owner",
    status: "active",
    lastLoginTimeMs: undefined,
    loginCount: 0,
    version: 1,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
}
