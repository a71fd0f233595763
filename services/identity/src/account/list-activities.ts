// ListActivities: lists sign-ins and changes of the caller's account, newest first.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AccountService, ActivitySchema } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { isUuid } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { Activity } from "../activity/activity.ts";
import { type ActivityCursor, listActivityPage } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";

export function listActivities({
  database,
  pageTokens,
}: IdentityDeps): UnaryHandler<typeof AccountService.method.listActivities> {
  return async (request, context) => {
    const { id } = context.user;
    const { items, nextPageToken } = await readPage(pageTokens, `activities/${id}`, request, cursorOf).fill({
      item: ActivitySchema,
      read: (after, limit) => listActivityPage(database.reader, id, after, limit),
      positionOf: (activity: Activity) => [activity.timeMs, activity.id],
      toItems: (activities) =>
        activities.map(({ timeMs, ...activity }) => ({ ...activity, time: timestampFromMs(timeMs) })),
    });
    return { activities: items, nextPageToken };
  };
}

function cursorOf([timeMs, id]: PagePosition): ActivityCursor | undefined {
  if (typeof timeMs !== "number" || typeof id !== "string" || !isUuid(id)) return undefined;
  return { timeMs, id };
}
