// Finds the deletion requests about a person, and those that a person has made, for exports of personal data.
import type { Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.addIndex("deletion_requests", "deletion_requests_about_ix", [
    "organization_id",
    "user_id",
    "id",
  ]);
  // The index above serves the look-up of the pending request too.
  await schema.dropIndex("deletion_requests", "deletion_requests_user_ix");
  await schema.addIndex("deletion_requests", "deletion_requests_requester_ix", [
    "organization_id",
    "requester_user_id",
    "id",
  ]);
}
