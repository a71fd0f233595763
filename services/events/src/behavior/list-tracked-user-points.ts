// ListTrackedUserPoints lists the points that users earned, at the current prices of the event catalog. The counts
// are maintained with the events, so that a new price or type applies to past events immediately.

import { create } from "@bufbuild/protobuf";
import {
  type BehaviorService,
  type TrackedUserPoints,
  TrackedUserPointsSchema,
} from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { type OrganizationId, type ProfileId, WorkBudget } from "@muster/core";
import type { Queryable } from "@muster/db";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { CatalogDeps } from "../catalog/catalog.ts";
import { type EventType, pointsOf } from "../catalog/event-type.ts";
import { linkedProfileIds } from "../identity-graph/links-store.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { type CountRequest, listCounts } from "./event-count-store.ts";
import { earnedByProfile, totalEarned } from "./points.ts";
import { listProfilesByUserId } from "./profiles-by-user-id.ts";

const QUERIED = "User events queried Successfully";
const PAGE_USERS = 1000;
/** One more than a page holds, to detect whether a next page exists when all users have points. */
const USERS_AT_ONCE = PAGE_USERS + 1;
/**
 * Users without points that one request skips. Beyond the limit the page ends early, with a token for the
 * rest.
 */
const USERS_READ_MAX = 100_000;
/** Estimated processor time to read one user with counts, in units of a budget. */
const USER_UNITS = 50;

export function listTrackedUserPoints(
  deps: CatalogDeps,
): UnaryHandler<typeof BehaviorService.method.listTrackedUserPoints> {
  return async (request, { organizationId, signal }) => {
    const budget = WorkBudget.inSlices({ clock: deps.clock, signal });
    if (request.userId !== undefined) {
      return {
        message: QUERIED,
        data: await pointsOfTrackedUser(
          deps,
          { organizationId, eventType: request.eventType, budget },
          request.userId,
        ),
      };
    }
    const scope = JSON.stringify(["user-points", organizationId, request.eventType ?? null]);
    const page = { pageSize: PAGE_USERS, pageToken: request.pageToken };
    const { after } = readPage(deps.pageTokens, scope, page, parsePosition);
    // One snapshot for the whole page, so that a concurrent merge cannot list a person twice.
    const { data, last } = await deps.database.snapshot((trx) =>
      readUsers(deps, trx, { organizationId, eventType: request.eventType, after, budget }),
    );
    const nextPageToken = last === undefined ? "" : deps.pageTokens.seal(scope, [last]);
    return { message: QUERIED, data, page: { case: "nextPageToken", value: nextPageToken } };
  };
}

async function pointsOfTrackedUser(
  deps: CatalogDeps,
  { organizationId, eventType, budget }: Omit<PageRequest, "after">,
  userId: string,
): Promise<TrackedUserPoints[]> {
  const db = deps.database.reader;
  const owner = await findOwner(db, organizationId, { kind: "user_id", value: userId });
  if (owner === undefined) return [];
  const profileIds = await linkedProfileIds(db, organizationId, owner.rootId);
  const types = await typesOf(deps, db, organizationId, eventType);
  const earned = await earnedBy(db, { organizationId, profileIds, budget }, types);
  const total = totalEarned(profileIds, earned);
  return total === undefined ? [] : [toProto(userId, total)];
}

interface PageRequest {
  readonly organizationId: OrganizationId;
  readonly eventType: string | undefined;
  readonly after: string | undefined;
  readonly budget: WorkBudget;
}

/** `last` is the position of the next page; undefined on the last page. */
async function readUsers(
  deps: CatalogDeps,
  db: Queryable,
  { organizationId, eventType, after, budget }: PageRequest,
): Promise<{ readonly data: TrackedUserPoints[]; readonly last: string | undefined }> {
  const types = await typesOf(deps, db, organizationId, eventType);
  const data: TrackedUserPoints[] = [];
  let last = after;
  for (let usersRead = 0; types.size > 0 && usersRead < USERS_READ_MAX; usersRead += USERS_AT_ONCE) {
    const { users, lastUserId } = await listProfilesByUserId(db, organizationId, last, USERS_AT_ONCE);
    const everyProfile = users.flatMap(({ profileIds }) => profileIds);
    const earned = await earnedBy(db, { organizationId, profileIds: everyProfile, budget }, types);
    for (const { userId, profileIds } of users) {
      budget.spend(USER_UNITS + profileIds.length);
      if (budget.isSliceOver) await budget.turn();
      const total = totalEarned(profileIds, earned);
      if (total === undefined) continue;
      // One more user than fits proves that a next page exists.
      if (data.length === PAGE_USERS) return { data, last: data.at(-1)?.user };
      data.push(toProto(userId, total));
    }
    if (lastUserId === undefined) return { data, last: undefined };
    last = lastUserId;
  }
  return { data, last: types.size > 0 ? last : undefined };
}

/** The whole catalog, or only the requested type. */
async function typesOf(
  deps: CatalogDeps,
  db: Queryable,
  organizationId: OrganizationId,
  eventType: string | undefined,
): Promise<Map<string, EventType>> {
  if (eventType === undefined) return deps.catalog.typesOf(db, organizationId);
  const type = await deps.catalog.find(db, organizationId, eventType);
  return new Map(type && [[eventType, type]]);
}

async function earnedBy(
  db: Queryable,
  request: Omit<CountRequest, "names">,
  types: ReadonlyMap<string, EventType>,
): Promise<Map<ProfileId, bigint>> {
  return earnedByProfile(await listCounts(db, { ...request, names: new Set(types.keys()) }), types);
}

function toProto(user: string, millionths: bigint): TrackedUserPoints {
  return create(TrackedUserPointsSchema, { user, points: pointsOf(millionths) });
}

function parsePosition([userId]: PagePosition): string | undefined {
  return typeof userId === "string" ? userId : undefined;
}
