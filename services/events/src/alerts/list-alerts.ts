// ListAlerts lists fired alerts, newest first.
import { AlertSchema } from "@muster/contracts/muster/events/v1/alert_pb";
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { idPosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { linkedProfileIds, rootsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";
import type { Alert } from "./alert.ts";
import { type AlertProfile, alertToProto } from "./alert-proto.ts";
import { listAlerts as readAlerts } from "./alert-store.ts";

export function listAlerts({
  database,
  pageTokens,
}: EventsDeps): UnaryHandler<typeof AlertService.method.listAlerts> {
  return async (request, { organizationId }) => {
    const { userId, code } = request;
    const scope = JSON.stringify(["alerts", organizationId, userId ?? null, code ?? null]);
    const page = readPage(pageTokens, scope, request, idPosition);
    // One snapshot, so that a concurrent merge or unmerge cannot show an alert under two root profiles.
    return database.snapshot(async (db) => {
      const profileIds = userId === undefined ? undefined : await profilesOfUser(db, organizationId, userId);
      const { items, nextPageToken } = await page.fill({
        item: AlertSchema,
        read: (after, limit) => readAlerts(db, { organizationId, profileIds, code, after }, limit),
        positionOf: ({ id }) => [id],
        async toItems(alerts) {
          const current = await currentProfiles(db, organizationId, alerts);
          return alerts.map((alert) =>
            alertToProto(alert, current.get(alert.profileId) ?? { ...alert, userId: undefined }),
          );
        },
      });
      return { alerts: items, nextPageToken };
    });
  };
}

/** Returns all profiles of the user, or an empty list for an unknown user. */
async function profilesOfUser(
  db: Queryable,
  organizationId: OrganizationId,
  userId: string,
): Promise<ProfileId[]> {
  const owner = await findOwner(db, organizationId, { kind: "user_id", value: userId });
  return owner === undefined ? [] : linkedProfileIds(db, organizationId, owner.rootId);
}

/** Maps the recorded profiles of the alerts to the current root profiles. */
async function currentProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  alerts: readonly Alert[],
): Promise<Map<ProfileId, AlertProfile>> {
  const rootIds = await rootsOf(db, organizationId, [...new Set(alerts.map(({ profileId }) => profileId))]);
  const roots = await getProfiles(db, organizationId, [...new Set(rootIds.values())].map(uuidToBytes));
  const profiles = (await listProfileGroups(db, organizationId, roots)).map(effectiveProfile);
  const users = new Map(profiles.map(({ id, userId }) => [id, userId]));
  return new Map(
    Array.from(rootIds, ([profileId, rootId]) => [
      profileId,
      { profileId: rootId, userId: users.get(rootId) },
    ]),
  );
}
