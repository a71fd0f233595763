// Declares the fields by which lists of members filter and sort.
import { ROLES } from "@muster/authz";
import type { FieldType, ListField, ListFields } from "@muster/list-queries";

const instant: FieldType = { kind: "instant" };
const createTime: ListField = { type: instant, column: "memberships.create_time_ms" };
const updateTime: ListField = { type: instant, column: "memberships.update_time_ms" };

export const MEMBER_FIELDS: ListFields = {
  id: { type: { kind: "id" }, column: "memberships.user_id" },
  email: { type: { kind: "text" }, column: "memberships.email_key" },
  name: { type: { kind: "text" }, column: "memberships.name_key" },
  role: { type: { kind: "enum", values: ROLES }, column: "memberships.role" },
  status: {
    type: { kind: "enum", values: ["invited", "active", "suspended"] },
    column: "memberships.status",
  },
  verified: { type: { kind: "boolean" }, column: "memberships.verified" },
  login_count: { type: { kind: "integer" }, column: "memberships.login_count" },
  last_login_at: { type: instant, column: "memberships.last_login_time_ms", isNullable: true },
  create_time: createTime,
  created_at: createTime,
  update_time: updateTime,
  updated_at: updateTime,
};
