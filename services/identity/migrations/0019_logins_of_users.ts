// Finds the logins of a person in every organization, for the erasure of an account.
import type { Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.addIndex("login_events", "login_events_user_ix", ["user_id"]);
}
