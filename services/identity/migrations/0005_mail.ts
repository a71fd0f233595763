// Creates the tables of mails that wait to be sent, and of the limits for each address and kind of mail.
import { blob, bytes, id16, instant, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("mail_jobs", {
    columns: {
      // The Message-ID is made from it.
      id: id16(),
      kind: bytes(32),
      // 0 waiting, 1 dead.
      state: tiny(),
      // A waiting job: the time of the next attempt, or the end of the lease. A dead one: the time of deletion.
      due_time_ms: instant(),
      // Attempts begun. Also the fencing token of the lease.
      attempts: tiny(),
      create_time_ms: instant(),
      useful_until_ms: instant(),
      // Recipient and rendered mail, sealed; empty once the job is dead.
      payload: blob(),
      // Code of the last failure.
      failure: nullable(bytes(64)),
    },
    primaryKey: ["id"],
    indexes: { mail_jobs_due_ix: ["state", "due_time_ms", "id"] },
  });
  await schema.createTable("mail_quotas", {
    columns: {
      // Keyed digest of address and kind.
      quota_key: bytes(32),
      // Times of the mails of the last 24 hours, 8 bytes each.
      sent_times: bytes(160),
      expire_time_ms: instant(),
    },
    primaryKey: ["quota_key"],
    indexes: { mail_quotas_expire_ix: ["expire_time_ms"] },
  });
}
