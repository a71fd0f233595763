// Counts the logins of users in a window from `login_events`.
import { bytesToUuid, chunksOf, type UserId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, type Queryable, type Transaction } from "@muster/db";
import type { LoginTotal } from "../login-counts/login-totals-store.ts";
import { firstDayOf } from "../login-counts/login-window.ts";
import type { RankingScope } from "./as-of.ts";

interface Row {
  readonly user_id: Buffer;
  readonly logins: number | string;
}

/** The counts of these users, as of the state. A user without logins is absent. */
export async function countLoginsByUser(
  trx: Transaction,
  scope: RankingScope,
  userIds: readonly UserId[],
): Promise<LoginTotal[]> {
  const counts: LoginTotal[] = [];
  for (const some of chunksOf(userIds, IN_LIST_VALUES_MAX)) {
    const rows = (await countsOf(trx, scope).whereIn("user_id", some.map(uuidToBytes))) as unknown as Row[];
    counts.push(...rows.map(fromRow));
  }
  return counts;
}

/** The users of an organization by (most logins, id), after a row of this order, as of the state. */
export async function listMostLogins(
  trx: Transaction,
  scope: RankingScope,
  after: LoginTotal | undefined,
  limit: number,
): Promise<LoginTotal[]> {
  const query = countsOf(trx, scope)
    .orderBy([{ column: "logins", order: "desc" }, { column: "user_id" }])
    .limit(limit);
  if (after !== undefined) {
    const { logins, userId } = after;
    query.havingRaw("count(*) < ? or (count(*) = ? and user_id > ?)", [logins, logins, uuidToBytes(userId)]);
  }
  const rows = (await query) as unknown as Row[];
  return rows.map(fromRow);
}

function countsOf(queryable: Queryable, { organizationId, windowDays, asOf }: RankingScope) {
  return queryable("login_events")
    .select("user_id")
    .count({ logins: "*" })
    .where("organization_id", uuidToBytes(organizationId))
    .andWhere("day", ">=", firstDayOf(windowDays, asOf.day))
    .andWhere("day", "<=", asOf.day)
    .andWhere((counted) => {
      for (const [shard, position] of asOf.positions.entries())
        counted.orWhere((earlier) => earlier.where("shard", shard).andWhere("position", "<=", position));
    })
    .groupBy("user_id");
}

function fromRow({ user_id, logins }: Row): LoginTotal {
  return { userId: bytesToUuid(user_id), logins: Number(logins) };
}
