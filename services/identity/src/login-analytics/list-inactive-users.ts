// ListInactiveUsers: lists the members without a login since a time, members who never signed in first.

import type { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import { isUuid, type UserId } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { DAY_MS } from "../login-counts/login-window.ts";
import { readMembers } from "../members/read-members.ts";
import { type LastLogin, listInactiveMembers } from "../memberships/inactive-member-store.ts";

const AGES_MS: Readonly<Record<string, number>> = {
  hour: DAY_MS / 24,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 30 * DAY_MS,
};

/** In a page position: the member never signed in. */
const NEVER = -1;

interface Position {
  /** All pages of a walk compare with the same time. */
  readonly beforeMs: number;
  readonly last: LastLogin;
}

/** Identity's own rows include every acknowledged login. */
export function listInactiveUsers({
  clock,
  database,
  pageTokens,
}: IdentityDeps): UnaryHandler<typeof LoginAnalyticsService.method.listInactiveUsers> {
  return async (request, { organizationId }) => {
    const scope = `inactive-users/${organizationId}/${request.window}`;
    const reader = readPage(pageTokens, scope, request, positionOf);
    const beforeMs = reader.after?.beforeMs ?? clock.nowMs() - (AGES_MS[request.window] ?? 0);
    const { items, nextPageToken } = await reader.fill({
      item: MemberSchema,
      read: (after, limit) =>
        listInactiveMembers(database.reader, organizationId, { beforeMs, after: after?.last, limit }),
      positionOf: ({ timeMs, userId }) => [beforeMs, timeMs ?? NEVER, userId],
      toItems: async (rows) => {
        const userIds = rows.map(({ userId }) => userId);
        const members = await readMembers(database, organizationId, userIds, []);
        return userIds.map((userId) => members.get(userId));
      },
    });
    return { users: items, nextPageToken };
  };
}

function positionOf([beforeMs, timeMs, userId]: PagePosition): Position | undefined {
  if (typeof beforeMs !== "number" || typeof timeMs !== "number") return undefined;
  if (typeof userId !== "string" || !isUuid(userId)) return undefined;
  const last = { timeMs: timeMs === NEVER ? undefined : timeMs, userId: userId as UserId };
  return { beforeMs, last };
}
