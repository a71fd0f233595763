// Reads pages of ids of an organization's members: filtered, searched, and sorted by fields or by relevance.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Engine, Transaction } from "@muster/db";
import {
  type Filter,
  filterSql,
  type ListField,
  prefixRange,
  readSorted,
  type Sort,
  type SortedRow,
  type SortPosition,
} from "@muster/list-queries";

type Query = ReturnType<Transaction>;

export interface MemberQuery {
  readonly engine: Engine;
  readonly organizationId: OrganizationId;
  readonly filter: Filter | undefined;
  /** Every word is the beginning of a word of the member. Empty without a search. */
  readonly words: readonly string[];
}

const MEMBER_ID = "memberships.user_id";
const WORD: ListField = { type: { kind: "text" }, column: "found.word" };
/** Relevance: by the found word, so that the word itself comes before longer words; equal words by id. */
export const BY_WORD: Sort = {
  keys: [{ field: WORD, column: WORD.column, direction: "asc" }],
  idDirection: "asc",
};
/** Entries of a word that are counted to find the rarest word. */
const COUNTED_MAX = 2_000;

/** At most `limit` members after the position, by the sort keys and then by id. */
export function listSortedMembers(
  trx: Transaction,
  list: MemberQuery,
  sort: Sort,
  after: SortPosition | undefined,
  limit: number,
): Promise<SortedRow[]> {
  const query = (): Query => {
    const members = trx("memberships").where("memberships.organization_id", uuidToBytes(list.organizationId));
    for (const word of list.words) whereWord(members, list, MEMBER_ID, word, "prefix");
    return withFilter(members, list);
  };
  return readSorted({ idColumn: MEMBER_ID, query }, sort, after, limit);
}

/** Members with each word of the search as a whole word, by id. `driver` is the word whose entries are read. */
export function listExactMembers(
  trx: Transaction,
  list: MemberQuery,
  driver: string,
  after: SortPosition | undefined,
  limit: number,
): Promise<SortedRow[]> {
  const query = (): Query => {
    const found = entries(trx, list).where("found.word", Buffer.from(driver));
    for (const word of list.words) {
      if (word !== driver) whereWord(found, list, "found.user_id", word, "exact");
    }
    return found;
  };
  return readSorted({ idColumn: "found.user_id", query }, BY_WORD, after, limit);
}

/** The other members that match the search: by the first word that the driver begins, then by id. */
export function listPartialMembers(
  trx: Transaction,
  list: MemberQuery,
  driver: string,
  after: SortPosition | undefined,
  limit: number,
): Promise<SortedRow[]> {
  const [from, to] = prefixRange(driver);
  const query = (): Query => {
    const found = entries(trx, list).where("found.word", ">=", from).andWhere("found.word", "<", to);
    // A member has an entry for each word; the first one counts.
    found.whereNotExists((earlier) => {
      void wordsOfMember(earlier, list, "found.user_id")
        .andWhere("other.word", ">=", from)
        .whereRaw("other.word < found.word");
    });
    for (const word of list.words) {
      if (word !== driver) whereWord(found, list, "found.user_id", word, "prefix");
    }
    return found.whereNot((exact) => {
      for (const word of list.words) whereWord(exact, list, "found.user_id", word, "exact");
    });
  };
  return readSorted({ idColumn: "found.user_id", query }, BY_WORD, after, limit);
}

/** The index of the word with the fewest entries; the first one of equally rare words. */
export async function rarestWord(trx: Transaction, list: MemberQuery): Promise<number> {
  const counts: number[] = [];
  for (const word of list.words.length === 1 ? [] : list.words) {
    const [from, to] = prefixRange(word);
    const entry = entries(trx, { ...list, filter: undefined }).where("found.word", ">=", from);
    const counted = entry.andWhere("found.word", "<", to).limit(COUNTED_MAX).select("found.user_id");
    const rows = (await trx.count({ count: "*" }).from(counted.as("counted"))) as {
      count: number | string;
    }[];
    counts.push(Number(rows[0]?.count));
  }
  return Math.max(0, counts.indexOf(Math.min(...counts)));
}

function entries(trx: Transaction, list: MemberQuery): Query {
  const found = trx({ found: "member_search_words" });
  found.where("found.organization_id", uuidToBytes(list.organizationId));
  if (list.filter === undefined) return found;
  // In this order, because the entries are in the order of the list.
  const join = list.engine === "sqlite" ? "CROSS JOIN" : "STRAIGHT_JOIN";
  found.joinRaw(
    `${join} memberships ON memberships.organization_id = found.organization_id AND memberships.user_id = found.user_id`,
  );
  return withFilter(found, list);
}

function withFilter(query: Query, { filter, engine }: MemberQuery): Query {
  if (filter === undefined) return query;
  const { sql, bindings } = filterSql(filter, engine);
  return query.whereRaw(sql, bindings as Buffer[]);
}

function whereWord(
  query: Query,
  list: MemberQuery,
  userColumn: string,
  word: string,
  match: "exact" | "prefix",
): void {
  const [from, to] = prefixRange(word);
  void query.whereExists((other) => {
    const words = wordsOfMember(other, list, userColumn);
    if (match === "exact") words.andWhere("other.word", from);
    else words.andWhere("other.word", ">=", from).andWhere("other.word", "<", to);
  });
}

function wordsOfMember(query: Query, { organizationId }: MemberQuery, userColumn: string): Query {
  return query
    .select("other.word")
    .from({ other: "member_search_words" })
    .where("other.organization_id", uuidToBytes(organizationId))
    .whereRaw(`other.user_id = ${userColumn}`);
}
