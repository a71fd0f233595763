// Creates the table of search words of members, and adds to memberships the keys by which lists filter and sort.
import { bool, bytes, id16, insertRows, nullable, type Schema, type Transaction } from "@muster/db";
import { textKey, wordsOf } from "@muster/list-queries";

const LISTED = {
  memberships_name_key_ix: "name_key",
  memberships_email_key_ix: "email_key",
  memberships_list_role_ix: "role",
  memberships_list_status_ix: "status",
  memberships_verified_ix: "verified",
  memberships_login_count_ix: "login_count",
  memberships_last_login_ix: "last_login_time_ms",
  memberships_create_ix: "create_time_ms",
  memberships_update_ix: "update_time_ms",
};
const WORDS = "member_search_words";
const WORD_KEY = ["organization_id", "user_id", "word"];
const PAGE = 500;

interface Row {
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly name: Buffer;
  readonly status: Buffer;
  readonly email: Buffer;
  readonly email_verified: number;
}

export async function up(schema: Schema): Promise<void> {
  // As the inviter wrote it; the migration of invitations adds the column too.
  await schema.addColumn("memberships", "invited_email", nullable(bytes(320)));
  // The keys of the name and of the address as the organization reads it. Null until the member is indexed.
  await schema.addColumn("memberships", "name_key", nullable(bytes(1200)));
  await schema.addColumn("memberships", "email_key", nullable(bytes(960)));
  // Whether the organization reads the address as verified.
  await schema.addColumn("memberships", "verified", nullable(bool()));
  await schema.createTable(WORDS, {
    columns: { organization_id: id16(), user_id: id16(), word: bytes(128) },
    primaryKey: WORD_KEY,
    indexes: { member_search_words_word_ix: ["organization_id", "word", "user_id"] },
  });
  while (await indexStoredMembers(schema.trx)) {
    // The next page.
  }
  for (const [name, column] of Object.entries(LISTED)) {
    await schema.addIndex("memberships", name, ["organization_id", column, "user_id"]);
  }
}

/** Indexes a page of the members that have no keys yet; false once there are none. */
async function indexStoredMembers(trx: Transaction): Promise<boolean> {
  const rows = await trx("memberships")
    .join("users", "users.id", "memberships.user_id")
    .select<Row[]>(
      "memberships.organization_id",
      "memberships.user_id",
      "memberships.name",
      "memberships.status",
    )
    .select("users.email", "users.email_verified")
    .whereNull("memberships.name_key")
    .limit(PAGE);
  for (const row of rows) {
    const { organization_id, user_id } = row;
    const [name, email] = [row.name.toString("utf8"), row.email.toString("utf8")];
    const words = wordsOf(`${name} ${email}`).map((word) => [organization_id, user_id, Buffer.from(word)]);
    await insertRows(trx, WORDS, WORD_KEY, words, "keep", WORD_KEY);
    const isVerified = row.status.toString("utf8") !== "invited" && row.email_verified !== 0;
    await trx("memberships")
      .where({ organization_id, user_id })
      .update({
        name_key: Buffer.from(textKey(name)),
        email_key: Buffer.from(textKey(email)),
        verified: isVerified ? 1 : 0,
      });
  }
  return rows.length > 0;
}
