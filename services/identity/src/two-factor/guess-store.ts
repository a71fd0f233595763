// Contains every statement against `code_guesses`: the wrong codes of each account.
import { type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { type Guesses, NO_GUESSES } from "../two-factor-rules/guess-limit.ts";

export type GuessKind = "second_factor" | "mail_code";

interface Row {
  readonly failure_times_ms: string;
  readonly locked_until_ms: number | null;
}

export async function findGuesses(queryable: Queryable, userId: UserId, kind: GuessKind): Promise<Guesses> {
  const rows = await queryable("code_guesses")
    .select<Row[]>("failure_times_ms", "locked_until_ms")
    .where(keyOf(userId, kind));
  const [row] = rows;
  if (row === undefined) return NO_GUESSES;
  return {
    failureTimesMs: JSON.parse(row.failure_times_ms) as number[],
    lockedUntilMs: row.locked_until_ms ?? undefined,
  };
}

/** The caller has locked the user, so that concurrent guesses all count. */
export async function saveGuesses(
  trx: Transaction,
  userId: UserId,
  kind: GuessKind,
  guesses: Guesses,
): Promise<void> {
  await trx("code_guesses").where(keyOf(userId, kind)).delete();
  await trx("code_guesses").insert({
    ...keyOf(userId, kind),
    failure_times_ms: JSON.stringify(guesses.failureTimesMs),
    locked_until_ms: guesses.lockedUntilMs ?? null,
  });
}

function keyOf(userId: UserId, kind: GuessKind) {
  return { user_id: uuidToBytes(userId), kind: Buffer.from(kind) };
}
