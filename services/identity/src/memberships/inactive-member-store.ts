// Lists the members of an organization by their last login.
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { type OrderColumn, pageAfter, type Queryable } from "@muster/db";

export interface LastLogin {
  /** Undefined: the member never signed in. */
  readonly timeMs: number | undefined;
  readonly userId: UserId;
}

interface Row {
  readonly user_id: Buffer;
  readonly last_login_time_ms: number | null;
}

const BY_ID: readonly OrderColumn[] = [{ column: "user_id", direction: "asc" }];
const BY_LOGIN: readonly OrderColumn[] = [{ column: "last_login_time_ms", direction: "asc" }, ...BY_ID];

interface InactivePage {
  /** Members with a login at this time or later are left out. */
  readonly beforeMs: number;
  readonly after: LastLogin | undefined;
  readonly limit: number;
}

/** Members who never signed in first, then by (last login, id). */
export async function listInactiveMembers(
  queryable: Queryable,
  organizationId: OrganizationId,
  { beforeMs, after, limit }: InactivePage,
): Promise<LastLogin[]> {
  const found: LastLogin[] = [];
  const select = () =>
    queryable("memberships")
      .select<Row[]>("user_id", "last_login_time_ms")
      .where("organization_id", uuidToBytes(organizationId));
  // Two statements, because a range of nulls and a range of times are two ranges of the index.
  if (after?.timeMs === undefined) {
    const query = select().whereNull("last_login_time_ms").limit(limit);
    found.push(...(await pageAfter(query, BY_ID, after && [uuidToBytes(after.userId)])).map(fromRow));
  }
  if (found.length === limit) return found;
  const query = select()
    .andWhere("last_login_time_ms", "<", beforeMs)
    .limit(limit - found.length);
  const position = after?.timeMs === undefined ? undefined : [after.timeMs, uuidToBytes(after.userId)];
  return [...found, ...(await pageAfter(query, BY_LOGIN, position)).map(fromRow)];
}

function fromRow(row: Row): LastLogin {
  return { timeMs: row.last_login_time_ms ?? undefined, userId: bytesToUuid(row.user_id) };
}
