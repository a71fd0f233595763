// Loads logins of the large organization's members: 1 to 10 each within 30 days, with the counts that reads use.
import { SHARD_COUNT } from "@muster/core";
import { createConnection } from "mysql2/promise";
import { LARGE_MEMBERS, USER_ID } from "./load-members.ts";

const DAY_MS = 86_400_000;
const LOGINS_MAX = 10;
const LOGIN_ID = "UNHEX(CONCAT('019100000000700090', LPAD(HEX(seq * 16 + login.number), 14, '0')))";
const SHARD = `seq % ${SHARD_COUNT}`;

/** As the consumer of logins would have left them. Position 0 is before every message. */
export async function loadLogins(
  mysqlUrl: string,
  database: string,
  organization: Buffer,
  nowMs: number,
): Promise<void> {
  const today = Math.floor(nowMs / DAY_MS);
  const day = `${today} - (seq + login.number * 3) % 30`;
  const connection = await createConnection({ uri: mysqlUrl, database, charset: "utf8mb4" });
  try {
    await connection.query(
      `INSERT INTO login_events (organization_id, user_id, login_id, day, shard, position, time_ms)
      SELECT ?, ${USER_ID}, ${LOGIN_ID}, ${day}, ${SHARD}, 0, (${day}) * ${DAY_MS}
      FROM seq_1_to_${LARGE_MEMBERS} JOIN (SELECT seq AS number FROM seq_1_to_${LOGINS_MAX}) AS login
      WHERE login.number <= 1 + (seq * 31) % ${LOGINS_MAX} AND seq % 5 <> 0`,
      [organization],
    );
    await connection.query(
      `INSERT INTO login_daily (organization_id, day, shard, logins, users)
      SELECT organization_id, day, shard, COUNT(*), COUNT(DISTINCT user_id) FROM login_events
      GROUP BY organization_id, day, shard`,
    );
    for (const days of [7, 30]) {
      await connection.query(
        `INSERT INTO login_totals (organization_id, window_days, user_id, negative_logins, shard, position)
        SELECT organization_id, ${days}, user_id, -COUNT(*), shard, 0 FROM login_events
        WHERE day > ${today - days} GROUP BY organization_id, user_id, shard`,
      );
      await connection.query(
        `INSERT INTO login_windows (shard, window_days, day, position, expired_day, expired_position)
        SELECT seq - 1, ${days}, ${today}, 0, ${today - days}, ${Number.MAX_SAFE_INTEGER}
        FROM seq_1_to_${SHARD_COUNT}`,
      );
    }
    await connection.query("ANALYZE TABLE login_events, login_daily, login_totals");
  } finally {
    await connection.end();
  }
}
