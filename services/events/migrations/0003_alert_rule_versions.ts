// Adds the version of each alert rule, so that a change can name the version that it is based on.
import { integer, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.addColumn("alert_rules", "version", withDefault(integer(), 1));
}
