// Declares the roles of members of an organization.

export const ROLES = ["owner", "admin", "member", "auditor"] as const;

export type Role = (typeof ROLES)[number];
