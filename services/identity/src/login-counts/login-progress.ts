// Compares the consumer of logins with positions of identity's outbox.
import type { Queryable } from "@muster/db";
import { readCursors } from "@muster/outbox";
import { LOGIN_CONSUMER } from "./login-consumer.ts";

/**
 * Whether the consumer has applied the logins up to the positions, which are by shard. An erasure waits until then, because
 * a login that is applied after the erasure would stay.
 */
export async function hasAppliedLogins(
  db: Queryable,
  positions: Readonly<Record<number, number>>,
): Promise<boolean> {
  const cursors = await readCursors(db, LOGIN_CONSUMER);
  return Object.entries(positions).every(([shard, position]) => {
    const cursor = cursors.find((one) => one.shard === Number(shard));
    return (cursor?.position ?? 0) >= position;
  });
}
