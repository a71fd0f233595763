// Checks the plans of lists of members on MariaDB: sorts by a single field, equality, prefixes and searches use an
// index without a sort. The golden file shows changed queries and indexes.
import { type OrganizationId, randomIds, type UserId, uuidToBytes } from "@muster/core";
import { insertRows, type Transaction } from "@muster/db";
import { parseSort, readFilter, type SortPosition, searchWords } from "@muster/list-queries";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, type Plan, plansOf, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, expect, test } from "vitest";
import { indexMember } from "../../src/member-search/index-member.ts";
import { listSortedMembers, type MemberQuery } from "../../src/member-search/member-list-store.ts";
import { listOrganizationsOfMember } from "../../src/member-search/member-search-store.ts";
import { readRelevant } from "../../src/member-search/read-relevant.ts";
import { MEMBER_FIELDS } from "../../src/members/member-fields.ts";
import { findMembershipsOf } from "../../src/memberships/membership-store.ts";

const MIGRATIONS = new URL("../../migrations/", import.meta.url);
const NOW = Date.UTC(2026, 0, 1);
const MEMBERS = 6_000;
const OTHER_ORGANIZATIONS = 60;
const NAMES = [
  "ada",
  "ben",
  "john",
  "joel",
  "julia",
  "karim",
  "lena",
  "maria",
  "omar",
  "paula",
  "rosa",
  "tara",
];
const SORTS = Object.keys(MEMBER_FIELDS).filter(
  (name) => name !== "id" && !/^(created|updated)_at$/.test(name),
);

const organizationId = randomIds.next<OrganizationId>(NOW);
const ids = Array.from({ length: MEMBERS }, (_, index) => randomIds.next<UserId>(NOW + index));
const middle = ids[MEMBERS / 2] as UserId;
let stored: TestDatabase;

beforeAll(async () => {
  stored = await openTestDatabase("mysql", MIGRATIONS);
  await stored.database.transaction((trx) => storeMembers(trx, organizationId, ids));
  for (let index = 0; index < OTHER_ORGANIZATIONS; index += 1) {
    const few = ids.slice(index * 50, index * 50 + 50);
    await stored.database.transaction((trx) => storeMembers(trx, randomIds.next(NOW), few));
  }
  await stored.database.transaction((trx) => trx.raw("ANALYZE TABLE memberships, member_search_words"));
}, 120_000);
afterAll(() => stored.close());

async function storeMembers(
  trx: Transaction,
  organization: OrganizationId,
  members: readonly UserId[],
): Promise<void> {
  const columns = [
    ...[
      "organization_id",
      "user_id",
      "name",
      "role",
      "status",
      "last_login_time_ms",
      "login_count",
      "version",
    ],
    ...["create_time_ms", "update_time_ms", "name_key", "email_key", "verified"],
  ];
  const key = uuidToBytes(organization);
  const rows = members.map((id, index) => {
    const name = Buffer.from(`${nameOf(index)} ${nameOf(index * 7 + 1)}`);
    return [
      ...[
        key,
        uuidToBytes(id),
        name,
        Buffer.from(index % 500 === 0 ? "owner" : "member"),
        Buffer.from("active"),
      ],
      ...[index % 4 === 0 ? null : NOW - index * 1_000, index % 97, 1, NOW - index * 500, NOW - index * 300],
      ...[name, Buffer.from(`${nameOf(index)}.${index}@example.com`), index % 50 === 0 ? 0 : 1],
    ];
  });
  await insertRows(trx, "memberships", columns, rows, "fail", ["organization_id", "user_id"]);
  const words = members.flatMap((id, index) =>
    [...new Set(["com", "example", nameOf(index), nameOf(index * 7 + 1), String(index)])]
      .sort()
      .map((word) => [key, uuidToBytes(id), Buffer.from(word)]),
  );
  const wordKey = ["organization_id", "user_id", "word"];
  await insertRows(trx, "member_search_words", wordKey, words, "fail", wordKey);
}

function nameOf(index: number): string {
  return NAMES[index % NAMES.length] as string;
}

function listed(filter: string, sort: string, q = "", after?: SortPosition): Read {
  const list: MemberQuery = {
    engine: "mysql",
    organizationId,
    filter: readFilter(filter, MEMBER_FIELDS),
    words: q === "" ? [] : searchWords("q", q),
  };
  return (trx) =>
    q === ""
      ? listSortedMembers(trx, list, parseSort(sort, MEMBER_FIELDS), after, 51)
      : readRelevant(trx, list, undefined, 51);
}

type Read = (trx: Transaction) => Promise<unknown>;

/** A value of the sort key in the middle of the list. */
function middleOf(sort: string): SortPosition {
  const type = MEMBER_FIELDS[sort.replace("-", "")]?.type.kind;
  const value =
    type === "text" ? Buffer.from("julia") : type === "enum" ? Buffer.from("member") : NOW - 900_000;
  return [type === "boolean" ? 1 : type === "integer" ? 40 : value, uuidToBytes(middle)];
}

const READS: Record<string, Read> = {
  "by id": listed("", ""),
  "by id, later page": listed("", "", "", [uuidToBytes(middle)]),
  "by id, descending": listed("", "-id"),
  ...Object.fromEntries(
    SORTS.flatMap((sort) => [sort, `-${sort}`]).flatMap((sort) => [
      [`sort=${sort}`, listed("", sort)],
      [`sort=${sort}, later page`, listed("", sort, "", middleOf(sort))],
    ]),
  ),
  ...Object.fromEntries(
    [
      `id==${middle}`,
      "email==ada.12@example.com",
      "role==owner",
      "verified==false",
      "login_count==5",
      "create_time==2025-12-31T23:59:50Z",
    ].map((filter) => [`filter=${filter.replace(middle, "ID")}`, listed(filter, "")]),
  ),
  "q=jo": listed("", "", "jo"),
  "q=john": listed("", "", "john"),
};

/** These read a range of an index, and put its rows in the order of ids. */
const RANGES: Record<string, Read> = {
  "filter=name==jo*": listed("name==jo*", ""),
  "filter=email==ada.1*": listed("email==ada.1*", ""),
};

/** Every member may have the same value here, so that two indexes cost the same and the server takes either. */
const HAS_EQUAL_PLANS = /^sort=-(role|status|verified)/;

test("lists of members use indexes", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  const lines: string[] = [];
  for (const [name, read] of Object.entries(READS)) {
    const plans = await plansOf(database, (db) => read(db as Transaction));
    expectIndexed(plans, name);
    if (!HAS_EQUAL_PLANS.test(name)) lines.push(name, ...plans.map(planLine));
  }
  await golden("identity/member-lists.txt", `${lines.join("\n")}\n`);
  for (const [name, read] of Object.entries(RANGES)) {
    expectIndexed(await plansOf(database, (db) => read(db as Transaction)), name, { maySort: true });
  }
});

function planLine({ table, type, key, Extra }: Plan): string {
  return `  ${table ?? "-"} ${type} ${key ?? "-"} ${Extra ?? ""}`.trimEnd();
}

test("members by their ids are read by id, however small the average organization is", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  const plans = await plansOf(database, (db) => findMembershipsOf(db, organizationId, ids.slice(0, 300)));
  expect(plans).toMatchObject([{ type: "range", rows: "300" }]);
});

test("changes of the index of members use keys", async () => {
  const { database } = stored;
  if (!(await isMariaDb(database))) return;
  const changes = await plansOfChanges(database, (trx) => indexMember(trx, organizationId, middle));
  expectIndexed(changes, "index of a member");
  expectIndexed(
    await plansOf(database, (db) => listOrganizationsOfMember(db, middle, undefined, 100)),
    "organizations of a person",
  );
});
