// Adds the receipts of erased accounts, and finds the waiting mails and the provisionings of a person.
import { blob, bytes, instant, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("account_erasures", {
    columns: {
      // Keyed digest of the id of the user.
      account_key: bytes(32),
      create_time_ms: instant(),
      // Null until the last row is erased.
      complete_time_ms: nullable(instant()),
      // JSON: how many rows were erased, by location; null until the erasure is complete.
      counts: nullable(blob()),
    },
    primaryKey: ["account_key"],
  });
  // Keyed digest of the address; null for mails of an earlier version.
  await schema.addColumn("mail_jobs", "recipient_key", nullable(bytes(32)));
  await schema.addIndex("mail_jobs", "mail_jobs_recipient_ix", ["recipient_key", "id"]);
  await schema.addIndex("provisionings", "provisionings_owner_ix", ["owner_id"]);
}
