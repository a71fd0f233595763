// Lists where this service stores data of organizations. A test compares the list with the schema.
import type { DescMessage } from "@bufbuild/protobuf";
import {
  MembershipsChangedSchema,
  SegmentDeletedSchema,
  SegmentReplacedSchema,
} from "@muster/contracts/muster/segments/v1/segments_events_pb";
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { domainEventType, type OrganizationContent, type OrganizationTable } from "@muster/outbox";
import { messageSchema } from "../events/decode-message.ts";
import { emptyOrganization } from "../organizations/organization-store.ts";

/** Work on rules goes first, so that no worker meets rules that are gone. */
const tables: readonly OrganizationTable[] = [
  { table: "segment_backfills", key: ["organization_id", "evaluation_id", "shard"] },
  { table: "segment_purges", key: ["organization_id", "shard", "evaluation_id"] },
  { table: "profile_rebuilds", key: ["organization_id", "shard", "profile_id"] },
  { table: "segments", key: ["organization_id", "segment_id"] },
  { table: "profile_states", key: ["organization_id", "shard", "profile_id"] },
  { table: "memberships", key: ["organization_id", "evaluation_id", "profile_id"] },
  { table: "segment_counts", key: ["organization_id", "evaluation_id", "shard"] },
  { table: "fact_horizons", key: ["organization_id", "fact_key"] },
  { table: "erasure_reports", key: ["shard", "organization_id", "erasure_id", "profile_id"] },
];

const schemas = new Map<string, DescMessage>([
  [domainEventType(MembershipsChangedSchema, "entered"), MembershipsChangedSchema],
  [domainEventType(MembershipsChangedSchema, "exited"), MembershipsChangedSchema],
  [domainEventType(SegmentReplacedSchema), SegmentReplacedSchema],
  [domainEventType(SegmentDeletedSchema), SegmentDeletedSchema],
]);

export const organizationContent: OrganizationContent = {
  tables,
  messages: {
    // Dead letters are messages of the events service.
    schemaOf: (type) => schemas.get(type) ?? messageSchema(type),
    shortenedLists: ["new_profiles"],
  },
  hasConsumer: true,
  before: [withoutSegments],
};

/** From here on no message of the organization has an effect, and its row provisions no segment again. */
async function withoutSegments(trx: Transaction, organizationId: OrganizationId): Promise<boolean> {
  await emptyOrganization(trx, organizationId);
  return true;
}
