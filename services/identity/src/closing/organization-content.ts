// Lists where this service stores data of organizations. A test compares the list with the schema.
import type { DescMessage } from "@bufbuild/protobuf";
import { file_muster_identity_v1_identity_events } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { domainEventType, type OrganizationContent, type OrganizationTable } from "@muster/outbox";
import { deleteExports } from "./export-rows-store.ts";
import { deleteMembers, deleteSessions } from "./people-store.ts";

const tables: readonly OrganizationTable[] = [
  { table: "api_keys", key: ["id"] },
  { table: "api_key_usage", key: ["organization_id", "api_key_id", "day"] },
  { table: "member_search_words", key: ["organization_id", "user_id", "word"] },
  { table: "invitations", key: ["id"] },
  { table: "operations", key: ["id"] },
  { table: "deletion_requests", key: ["id"] },
  { table: "login_events", key: ["organization_id", "user_id", "login_id"] },
  { table: "login_totals", key: ["organization_id", "window_days", "user_id"] },
  { table: "login_daily", key: ["organization_id", "day", "shard"] },
  { table: "provisionings", key: ["partner_id", "external_id"] },
  { table: "removed_memberships", key: ["organization_id", "user_id"] },
];

const schemas = new Map<string, DescMessage>(
  file_muster_identity_v1_identity_events.messages.map((schema) => [domainEventType(schema), schema]),
);

export const organizationContent: OrganizationContent = {
  tables,
  messages: { schemaOf: (type) => schemas.get(type) },
  hasConsumer: true,
  before: [deleteSessions, deleteMembers, deleteExports],
};
