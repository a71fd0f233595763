// Lists where this service stores data of organizations. A test compares the list with the schema.
import type { OrganizationContent, OrganizationTable } from "@muster/outbox";
import { domainEventSchema } from "../domain-events/domain-events.ts";

const tables: readonly OrganizationTable[] = [
  { table: "tracked_events", key: ["organization_id", "day", "event_id"] },
  { table: "undated_event_ids", key: ["organization_id", "client_event_id"] },
  { table: "repeated_calls", key: ["organization_id", "call_digest"] },
  { table: "event_counts", key: ["organization_id", "profile_id", "name"] },
  { table: "page_view_hours", key: ["organization_id", "day", "profile_id", "hour", "part"] },
  { table: "alert_history", key: ["organization_id", "profile_id", "cell"] },
  { table: "alert_profiles", key: ["organization_id", "profile_id"] },
  { table: "alerts", key: ["organization_id", "alert_id"] },
  { table: "alert_rules", key: ["organization_id", "rule_id"] },
  { table: "alert_rule_sets", key: ["organization_id"] },
  { table: "profile_identities", key: ["organization_id", "kind", "value"] },
  { table: "profile_merges", key: ["organization_id", "profile_id", "merge_id"] },
  { table: "profiles", key: ["organization_id", "profile_id"] },
  { table: "event_types", key: ["organization_id", "name"] },
  { table: "event_catalogs", key: ["organization_id"] },
  { table: "erasure_tasks", key: ["shard", "erasure_id", "profile_id"] },
  { table: "erasure_counts", key: ["organization_id", "erasure_id", "profile_id", "location"] },
  { table: "erasures", key: ["organization_id", "erasure_id"] },
  { table: "erased_events", key: ["organization_id", "event_hash"] },
  { table: "organizations_with_erasures", key: ["organization_id"] },
  { table: "retention_days", key: ["organization_id", "day"] },
  { table: "retentions", key: ["organization_id"] },
];

export const organizationContent: OrganizationContent = {
  tables,
  // Readers of `new_profiles` require every entry to be a profile.
  messages: { schemaOf: domainEventSchema, shortenedLists: ["new_profiles"] },
  hasConsumer: false,
};
