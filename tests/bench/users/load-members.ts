// Loads a million members into identity's database: the first organization has 100,000, and 9,000 others have 100.
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";

/** MUSTER_BENCH_SIZE=small shows in a minute that the benchmark runs. */
const IS_SMALL = process.env.MUSTER_BENCH_SIZE === "small";
export const LARGE_MEMBERS = IS_SMALL ? 10_000 : 100_000;
const SMALL_ORGANIZATIONS = IS_SMALL ? 90 : 9_000;
const SMALL_MEMBERS = 100;
export const MEMBERS = LARGE_MEMBERS + SMALL_ORGANIZATIONS * SMALL_MEMBERS;

const FIRST_NAMES =
  "Ada,Amir,Ana,Ben,Bjorn,Carla,Chen,Dana,David,Elena,Emil,Fatima,Felix,Grace,Hana,Hugo,Ines,Ivan,Joanna,Joel,John," +
  "Jonas,Julia,Karim,Klara,Lena,Luis,Maria,Mateo,Mei,Nadia,Noah,Olga,Omar,Paula,Pedro,Rosa,Sami,Tara,Yuki";
const LAST_NAMES =
  "Abbott,Ahmed,Alvarez,Bauer,Becker,Brown,Chang,Costa,Dubois,Eriksen,Fischer,Garcia,Gomez,Haddad,Hansen,Horvat," +
  "Ito,Ivanov,Jansen,Jones,Joshi,Kaya,Khan,Kim,Klein,Kovacs,Kumar,Larsen,Lopez,Lovelace,Marino,Martin,Meyer,Moreau," +
  "Moretti,Nguyen,Novak,Okafor,Olsen,Osman,Pereira,Popov,Rossi,Ruiz,Sato,Schmidt,Silva,Singh,Smith,Suzuki,Tanaka," +
  "Taylor,Varga,Wagner,Walker,Weber,Wilson,Wong,Yilmaz,Zhang";
const NOW_MS = Date.UTC(2026, 0, 1);

/** Indexes are added after the rows, because the server builds an index in one pass much faster. */
export async function loadMembers(
  mysqlUrl: string,
  database: string,
  large: Buffer,
  log: (text: string) => void,
): Promise<void> {
  const connection = await createConnection({ uri: mysqlUrl, database, charset: "utf8mb4" });
  try {
    const indexes = await dropIndexes(connection, ["memberships", "member_search_words", "users"]);
    await connection.query("SET SESSION sql_log_bin = 0").catch(() => undefined);
    log(`users`);
    await connection.query(`INSERT INTO users (id, email, email_key, email_verified, name, password_reset_required,
      security_version, create_time_ms, update_time_ms)
      SELECT ${USER_ID}, ${EMAIL}, ${EMAIL}, 1, ${NAME}, 0, 1, ${NOW_MS}, ${NOW_MS} FROM ${SEQUENCE}`);
    log(`memberships`);
    await connection.query(
      `INSERT INTO memberships (organization_id, user_id, name, role, status, last_login_time_ms, login_count, version,
      create_time_ms, update_time_ms, name_key, email_key, verified)
      SELECT ${ORGANIZATION_ID}, ${USER_ID}, ${NAME}, ${ROLE}, ${STATUS}, ${LAST_LOGIN}, (seq * 31) % 1000, 1,
      ${NOW_MS} - (seq * 104729) % 5000000000, ${NOW_MS} - (seq * 1299709) % 3000000000, LOWER(${NAME}), ${EMAIL},
      ${STATUS} <> 'invited' FROM ${SEQUENCE}`,
      [large],
    );
    log(`search words`);
    await connection.query(
      `INSERT INTO member_search_words (organization_id, user_id, word)
      SELECT ${ORGANIZATION_ID}, ${USER_ID}, ELT(word.position, 'com', 'example', LOWER(${FIRST}), LOWER(${LAST}), seq)
      FROM ${SEQUENCE} JOIN (SELECT seq AS position FROM seq_1_to_5) AS word`,
      [large],
    );
    for (const { table, definitions } of indexes) {
      log(`indexes of ${table}`);
      await connection.query(`ALTER TABLE ${table} ${definitions.map((one) => `ADD ${one}`).join(", ")}`);
    }
    await connection.query("ANALYZE TABLE users, memberships, member_search_words");
  } finally {
    await connection.end();
  }
}

const SEQUENCE = `seq_1_to_${MEMBERS}`;
const FIRST = elementOf(FIRST_NAMES, "seq");
const LAST = elementOf(LAST_NAMES, "seq DIV 40");
const NAME = `CONCAT(${FIRST}, ' ', ${LAST})`;
const EMAIL = `LOWER(CONCAT(${FIRST}, '.', ${LAST}, '.', seq, '@example.com'))`;
export const USER_ID = "UNHEX(CONCAT('019100000000700080', LPAD(HEX(seq), 14, '0')))";
const SMALL = `(seq - ${LARGE_MEMBERS + 1}) DIV ${SMALL_MEMBERS}`;
const ORGANIZATION_ID = `IF(seq <= ${LARGE_MEMBERS}, ?, UNHEX(CONCAT('ff9100000000700080', LPAD(HEX(${SMALL}), 14, '0'))))`;
const ROLE =
  "CASE WHEN seq % 10000 = 1 THEN 'owner' WHEN seq % 50 = 0 THEN 'admin' WHEN seq % 333 = 0 THEN 'auditor' ELSE 'member' END";
const STATUS = "CASE WHEN seq % 40 = 3 THEN 'suspended' WHEN seq % 37 = 5 THEN 'invited' ELSE 'active' END";
const LAST_LOGIN = `IF(seq % 5 = 0, NULL, ${NOW_MS} - (seq * 7919) % 2600000000)`;

function elementOf(list: string, index: string): string {
  const names = list.split(",");
  return `ELT(1 + (${index}) % ${names.length}, ${names.map((name) => `'${name}'`).join(", ")})`;
}

interface DroppedIndexes {
  readonly table: string;
  readonly definitions: readonly string[];
}

async function dropIndexes(connection: Connection, tables: readonly string[]): Promise<DroppedIndexes[]> {
  const dropped: DroppedIndexes[] = [];
  for (const table of tables) {
    const [rows] = await connection.query<RowDataPacket[]>(
      `SELECT index_name AS name, MAX(non_unique) AS is_plain, GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns
       FROM information_schema.statistics
       WHERE table_schema = DATABASE() AND table_name = ? AND index_name <> 'PRIMARY' GROUP BY index_name`,
      [table],
    );
    if (rows.length === 0) continue;
    const definitions = rows.map(
      ({ name, is_plain, columns }) => `${is_plain ? "" : "UNIQUE "}KEY ${name} (${columns})`,
    );
    await connection.query(`ALTER TABLE ${table} ${rows.map(({ name }) => `DROP KEY ${name}`).join(", ")}`);
    dropped.push({ table, definitions });
  }
  return dropped;
}
