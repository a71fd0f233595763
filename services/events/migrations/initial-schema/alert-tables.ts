// Creates the tables of alert rules, alert histories and fired alerts: a part of the initial schema.
import { blob, bool, bytes, id16, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";

export async function createAlertTables(schema: Schema): Promise<void> {
  await createAlertRules(schema);
  await createAlertHistory(schema);
  await createAlerts(schema);
}

async function createAlertRules(schema: Schema): Promise<void> {
  // An organization without a row has the default rules.
  await schema.createTable("alert_rule_sets", {
    columns: {
      organization_id: id16(),
      // Increases with every change of the rules.
      version: integer(),
      // The recorded series, and the first version of each.
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
      // As the caller wrote the value.
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

async function createAlertHistory(schema: Schema): Promise<void> {
  // One row for each profile that is or was a root with an alert history. An evaluation locks the row, which
  // serializes the evaluations of a person.
  await schema.createTable("alert_profiles", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      // The arrival number of the last event: increases with each event, and follows the clock between
      // persons.
      last_arrival: integer(),
      // The profile took part in a merge; only then can the person have other profiles.
      was_merged: bool(),
    },
    primaryKey: ["organization_id", "profile_id"],
  });
  // The history for alert rules, by recorded profile.
  await schema.createTable("alert_history", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      // The series and the part of the series: see history-cell.ts.
      cell: bytes(17),
      content: blob(),
      // The time of receipt of the last event in the cell.
      last_received_ms: instant(),
    },
    primaryKey: ["organization_id", "profile_id", "cell"],
  });
}

async function createAlerts(schema: Schema): Promise<void> {
  await schema.createTable("alerts", {
    columns: {
      organization_id: id16(),
      // UUIDv7 of the instant of firing, which orders lists.
      alert_id: id16(),
      rule_id: id16(),
      code: integer(),
      // The recorded profile of the event.
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
