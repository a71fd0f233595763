// ListAlerts lists fired alerts, newest first.
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { isUuid, type OrganizationId, PAGE_SIZE_DEFAULT, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { linkedProfileIds, rootsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";
import type { Alert } from "./alert.ts";
import { type AlertProfile, alertToProto } from "./alert-proto.ts";
import { listAlerts as readPage } from "./alert-store.ts";

export function listAlerts(deps: EventsDeps): UnaryHandler<typeof AlertService.method.listAlerts> {
  return async (request, context) => {
    const { organizationId } = context;
    const { userId, code } = request;
    const scope = JSON.stringify(["alerts", organizationId, userId ?? null, code ?? null]);
    const after = openToken(deps, scope, request.pageToken);
    const pageSize = request.pageSize || PAGE_SIZE_DEFAULT;
    // One snapshot, so that a concurrent merge or unmerge cannot show an alert under two root profiles.
    return deps.database.snapshot(async (db) => {
      const profileIds = userId === undefined ? undefined : await groupProfiles(db, organizationId, userId);
      const alerts = await readPage(db, { organizationId, profileIds, code, after }, pageSize + 1);
      const page = alerts.slice(0, pageSize);
      const people = await peopleOf(db, organizationId, page);
      const last = page.at(-1);
      const hasMore = alerts.length > pageSize && last !== undefined;
      return {
        alerts: page.map((alert) =>
          alertToProto(alert, people.get(alert.profileId) ?? { ...alert, userId: undefined }),
        ),
        nextPageToken: hasMore ? deps.pageTokens.seal(scope, [last.id]) : "",
      };
    });
  };
}

function openToken(deps: EventsDeps, scope: string, token: string): string | undefined {
  if (token === "") return undefined;
  const [id] = deps.pageTokens.open(scope, token) ?? [];
  if (typeof id !== "string" || !isUuid(id)) throw new AppError("PAGE_TOKEN_INVALID");
  return id;
}

/** Returns all profiles of the user, or an empty list for an unknown user. */
async function groupProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  userId: string,
): Promise<ProfileId[]> {
  const owner = await findOwner(db, organizationId, { kind: "user_id", value: userId });
  return owner === undefined ? [] : linkedProfileIds(db, organizationId, owner.rootId);
}

/** Maps the recorded profiles of the alerts to the current root profiles. */
async function peopleOf(
  db: Queryable,
  organizationId: OrganizationId,
  alerts: readonly Alert[],
): Promise<Map<ProfileId, AlertProfile>> {
  const rootIds = await rootsOf(db, organizationId, [...new Set(alerts.map(({ profileId }) => profileId))]);
  const roots = await getProfiles(db, organizationId, [...new Set(rootIds.values())].map(uuidToBytes));
  const people = (await listProfileGroups(db, organizationId, roots)).map(effectiveProfile);
  const users = new Map(people.map(({ id, userId }) => [id, userId]));
  return new Map(
    Array.from(rootIds, ([profileId, rootId]) => [
      profileId,
      { profileId: rootId, userId: users.get(rootId) },
    ]),
  );
}
