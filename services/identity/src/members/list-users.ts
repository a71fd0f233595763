// ListUsers: lists the members of the caller's organization, filtered, searched and sorted.
import { type Member, MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import type { ListUsersRequest, UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { bytesToUuid, type OrganizationId, type UserId } from "@muster/core";
import {
  clearUnselected,
  parsePosition,
  parseSort,
  positionText,
  readFilter,
  type Sort,
  type SortedRow,
  type SortPosition,
  searchWords,
  selectedFields,
} from "@muster/list-queries";
import { readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { listSortedMembers, type MemberQuery } from "../member-search/member-list-store.ts";
import { parseRelevantPosition, readRelevant, relevantPosition } from "../member-search/read-relevant.ts";
import { MEMBER_FIELDS } from "./member-fields.ts";
import { includedFields, SELECTABLE } from "./member-selection.ts";
import { readMembers } from "./read-members.ts";

interface MemberPage {
  readonly users: Member[];
  readonly nextPageToken: string;
}

interface ListArguments {
  readonly list: MemberQuery;
  readonly sort: Sort;
  /** Names the list and its arguments in page tokens. */
  readonly scope: string;
  readonly request: ListUsersRequest;
  readonly toItems: (rows: readonly SortedRow[]) => Promise<(Member | undefined)[]>;
}

export function listUsers(deps: IdentityDeps): UnaryHandler<typeof UserService.method.listUsers> {
  return (request, { organizationId }) => {
    const read = readArguments(deps, request, organizationId);
    return request.q !== "" && request.sort === "" ? listByRelevance(deps, read) : listBySort(deps, read);
  };
}

function readArguments(
  deps: IdentityDeps,
  request: ListUsersRequest,
  organizationId: OrganizationId,
): ListArguments {
  const { filter, q, sort, include } = request;
  const fields = selectedFields(request.fields, SELECTABLE);
  const included = includedFields(include);
  const scope = JSON.stringify(["users", organizationId, filter, q, sort, fields, include]);
  const list = {
    engine: deps.database.engine,
    organizationId,
    filter: readFilter(filter, MEMBER_FIELDS),
    words: q === "" ? [] : searchWords("q", q),
  };
  return {
    list,
    sort: parseSort(sort, MEMBER_FIELDS),
    scope,
    request,
    toItems: async (rows) => {
      const ids = rows.map(({ id }) => bytesToUuid<UserId>(id));
      const members = await readMembers(deps.database, organizationId, ids, included);
      return ids.map((id) => {
        const member = members.get(id);
        return member && clearUnselected(member, SELECTABLE, fields);
      });
    },
  };
}

async function listBySort({ database, pageTokens }: IdentityDeps, read: ListArguments): Promise<MemberPage> {
  const { list, sort, scope, request, toItems } = read;
  const parse = (values: readonly (string | number)[]): SortPosition | undefined =>
    parsePosition(values, sort);
  const { items, nextPageToken } = await readPage(pageTokens, scope, request, parse).fill({
    item: MemberSchema,
    read: (after, limit) => database.snapshot((trx) => listSortedMembers(trx, list, sort, after, limit)),
    positionOf: ({ position }) => positionText(position),
    toItems,
  });
  return { users: items, nextPageToken };
}

async function listByRelevance(
  { database, pageTokens }: IdentityDeps,
  { list, scope, request, toItems }: ListArguments,
): Promise<MemberPage> {
  const reader = readPage(pageTokens, scope, request, (values) => parseRelevantPosition(values, list.words));
  const { items, nextPageToken } = await reader.fill({
    item: MemberSchema,
    read: (after, limit) => database.snapshot((trx) => readRelevant(trx, list, after, limit)),
    positionOf: relevantPosition,
    toItems,
  });
  return { users: items, nextPageToken };
}
