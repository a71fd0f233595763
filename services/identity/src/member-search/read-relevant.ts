// Reads the members that match a search by relevance: first exact matches, then partial matches.
import type { Transaction } from "@muster/db";
import { parsePosition, positionText, type SortedRow, type SortPosition } from "@muster/list-queries";
import {
  BY_WORD,
  listExactMembers,
  listPartialMembers,
  type MemberQuery,
  rarestWord,
} from "./member-list-store.ts";

export interface RelevantPosition {
  /** Index of the word whose entries are read. All pages of a walk use the same word, which fixes the order. */
  readonly driver: number;
  readonly part: "exact" | "partial";
  /** Undefined at the start of the part. */
  readonly position: SortPosition | undefined;
}

export interface RelevantRow extends SortedRow {
  readonly driver: number;
  readonly part: RelevantPosition["part"];
}

/** At most `limit` members after the position; fewer only at the end of the list. */
export async function readRelevant(
  trx: Transaction,
  list: MemberQuery,
  after: RelevantPosition | undefined,
  limit: number,
): Promise<RelevantRow[]> {
  const from = after ?? { driver: await rarestWord(trx, list), part: "exact", position: undefined };
  const { driver } = from;
  const word = list.words[driver] ?? "";
  const rows: RelevantRow[] = [];
  if (from.part === "exact") {
    const exact = await listExactMembers(trx, list, word, from.position, limit);
    rows.push(...exact.map((row): RelevantRow => ({ ...row, driver, part: "exact" })));
  }
  if (rows.length < limit) {
    const position = from.part === "partial" ? from.position : undefined;
    const partial = await listPartialMembers(trx, list, word, position, limit - rows.length);
    rows.push(...partial.map((row): RelevantRow => ({ ...row, driver, part: "partial" })));
  }
  return rows;
}

export function relevantPosition({ driver, part, position }: RelevantRow): (string | number)[] {
  return [driver, part, ...positionText(position)];
}

/** Undefined for values that are no position of a search for these words. */
export function parseRelevantPosition(
  [driver, part, ...values]: readonly (string | number)[],
  words: readonly string[],
): RelevantPosition | undefined {
  const position = parsePosition(values, BY_WORD);
  if (typeof driver !== "number" || words[driver] === undefined || position === undefined) return undefined;
  return part === "exact" || part === "partial" ? { driver, part, position } : undefined;
}
