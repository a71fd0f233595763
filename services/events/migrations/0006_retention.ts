// Creates the tables of retention settings and of the progress of the purge.
import { bytes, id16, instant, integer, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("retentions", {
    columns: {
      organization_id: id16(),
      // 0 means unlimited.
      raw_event_days: integer(),
      aggregate_days: integer(),
      // Raw events that were received and happened before this instant can be missing. The value only
      // increases.
      complete_since_ms: instant(),
      // The instant of the next pass. A worker moves the value forward to lease the pass.
      next_pass_ms: instant(),
      // The day at which an interrupted pass resumes.
      resume_day: nullable(integer()),
      // A change together with the segments service is in progress until this instant.
      changing_until_ms: instant(),
      // The instant and the key at which the walk over the alert history resumes.
      history_due_ms: instant(),
      history_after: nullable(bytes(33)),
      update_ms: instant(),
    },
    primaryKey: ["organization_id"],
  });
  // Days with remaining events after a visit, and the age start of the oldest. A later pass visits the day
  // again when that event expires.
  await schema.createTable("retention_days", {
    columns: { organization_id: id16(), day: integer(), oldest_ms: instant() },
    primaryKey: ["organization_id", "day"],
  });
}
