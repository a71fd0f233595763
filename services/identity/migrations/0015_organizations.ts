// Adds to organizations a version, the time of the last change, and when a deletion takes effect. Creates the tables of
// closed organizations.
import { bytes, id16, instant, integer, nullable, type Schema, tiny, withDefault } from "@muster/db";
import { createClosedOrganizationsTable } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await schema.addColumn("organizations", "version", withDefault(integer(), 1));
  // Null: not changed since the creation.
  await schema.addColumn("organizations", "update_time_ms", nullable(instant()));
  // Null unless the deletion was requested.
  await schema.addColumn("organizations", "delete_time_ms", nullable(instant()));
  await schema.addIndex("organizations", "organizations_delete_ix", ["delete_time_ms", "id"]);
  await schema.addIndex("sessions", "sessions_organization_ix", ["organization_id"]);
  await schema.addIndex("exports", "exports_organization_ix", ["organization_id"]);
  await createClosedOrganizationsTable(schema);
  // What the other services still have to erase. A row goes when its service has confirmed the end.
  await schema.createTable("organization_closings", {
    columns: {
      organization_id: id16(),
      service: bytes(16),
      // Whether the service has confirmed that no data is left.
      is_erased: withDefault(tiny(), 0),
      next_check_ms: instant(),
    },
    primaryKey: ["organization_id", "service"],
    indexes: { organization_closings_check_ix: ["next_check_ms", "organization_id", "service"] },
  });
}
