// How long an organisation's events are kept, and how far what is too old has been looked through.
import { bytes, id16, instant, integer, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("retentions", {
    columns: {
      organization_id: id16(),
      // 0: for ever.
      raw_event_days: integer(),
      aggregate_days: integer(),
      // Raw events that were received and happened before may be gone. Only ever rises.
      complete_since_ms: instant(),
      // When it is to be looked through again; whoever does so moves it on first, and so has it leased.
      next_pass_ms: instant(),
      // The day at which a pass that took too long goes on.
      resume_day: nullable(integer()),
      // Until then somebody is changing it, together with the segments service.
      changing_until_ms: instant(),
      // The history of alerts is walked as a whole now and then: when again, and from where.
      history_due_ms: instant(),
      history_after: nullable(bytes(33)),
      update_ms: instant(),
    },
    primaryKey: ["organization_id"],
  });
  // Days that were looked through and kept something: which of it came or happened first, and when that was.
  // So late events are met once they are due, and not by every pass.
  await schema.createTable("retention_days", {
    columns: { organization_id: id16(), day: integer(), oldest_ms: instant() },
    primaryKey: ["organization_id", "day"],
  });
}
