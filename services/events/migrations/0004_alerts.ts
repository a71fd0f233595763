// What people's events are judged by as they come in, what of their past that takes, and the alerts fired.
import { blob, bool, bytes, id16, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await createRules(schema);
  await createHistory(schema);
  await createAlerts(schema);
}

async function createRules(schema: Schema): Promise<void> {
  // An organisation without a row has the rules that every organisation starts with.
  await schema.createTable("alert_rule_sets", {
    columns: {
      organization_id: id16(),
      // Grows with every change of the rules.
      version: integer(),
      // Which series are kept, and since which version.
      series: json(),
    },
    primaryKey: ["organization_id"],
  });
  await schema.createTable("alert_rules", {
    columns: {
      organization_id: id16(),
      rule_id: id16(),
      code: integer(),
      name: bytes(255),
      kind: tiny(),
      event_name: bytes(255),
      // A JSON array.
      other_event_names: json(),
      property: nullable(bytes(255)),
      // As written.
      threshold: nullable(bytes(64)),
      count: nullable(integer()),
      window_seconds: nullable(integer()),
      is_enabled: bool(),
      create_ms: nullable(instant()),
      update_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "rule_id"],
    unique: { alert_rules_by_code: ["organization_id", "code"] },
  });
}

async function createHistory(schema: Schema): Promise<void> {
  // One row for each profile that stands, or stood, for a person whose past matters. Locked while the person's
  // events are judged, so that they are judged one after the other.
  await schema.createTable("alert_people", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      // Of the person's last event: rises with each, and goes by the clock between persons.
      last_arrival: integer(),
      // Was part of a merge at some time: only then may the person have other profiles.
      was_merged: bool(),
    },
    primaryKey: ["organization_id", "profile_id"],
  });
  // What the rules need of the past, by the profile it was recorded for.
  await schema.createTable("alert_history", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      // The series, and which part of it: see history-cell.ts.
      cell: bytes(17),
      content: blob(),
      // When its last event was received.
      touched_ms: instant(),
    },
    primaryKey: ["organization_id", "profile_id", "cell"],
  });
}

async function createAlerts(schema: Schema): Promise<void> {
  await schema.createTable("alerts", {
    columns: {
      organization_id: id16(),
      // UUIDv7 of the instant of firing: the order of lists.
      alert_id: id16(),
      rule_id: id16(),
      code: integer(),
      // The one that the event was recorded for.
      profile_id: id16(),
      event_id: id16(),
      event_name: bytes(255),
      occurred_ms: instant(),
      fired_ms: instant(),
    },
    primaryKey: ["organization_id", "alert_id"],
    indexes: {
      alerts_by_profile: ["organization_id", "profile_id", "alert_id"],
      alerts_by_code: ["organization_id", "code", "alert_id"],
    },
  });
}
