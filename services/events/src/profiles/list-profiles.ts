// ListProfiles lists root profiles, oldest first. A filter matches an identity of any linked profile, so a
// filtered list has at most one entry.
import { ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { OrganizationId, ProfileId } from "@muster/core";
import { idPosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { getProfileGroup, listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { type Identity, identitiesOf, type Profile } from "../profile-storage/profile.ts";
import { listProfiles as listRoots } from "../profile-storage/profile-store.ts";
import { profileSelection } from "./selected-profile.ts";

export function listProfiles(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.listProfiles> {
  return async (request, context) => {
    const { organizationId } = context;
    const filters = identitiesOf(request);
    const fields = request.fields?.paths ?? [];
    const toMessage = profileSelection(request.fields);
    const scope = JSON.stringify(["profiles", organizationId, filters, ...fields]);
    const page = readPage(deps.pageTokens, scope, request, idPosition<ProfileId>);
    if (filters.length > 0) {
      const found = await findByIdentities(deps, organizationId, filters);
      const isAfter = found !== undefined && (page.after === undefined || found.id > page.after);
      return { profiles: isAfter ? [toMessage(found)] : [], nextPageToken: "" };
    }
    const db = deps.database.reader;
    const { items, nextPageToken } = await page.fill({
      item: ProfileSchema,
      read: (after, limit) => listRoots(db, organizationId, after, limit),
      positionOf: ({ id }) => [id],
      async toItems(roots) {
        const groups = await listProfileGroups(db, organizationId, roots);
        return groups.map((group) => toMessage(effectiveProfile(group)));
      },
    });
    return { profiles: items, nextPageToken };
  };
}

async function findByIdentities(
  deps: EventsDeps,
  organizationId: OrganizationId,
  filters: readonly Identity[],
): Promise<Profile | undefined> {
  const db = deps.database.reader;
  let rootId: ProfileId | undefined;
  for (const filter of filters) {
    const owner = await findOwner(db, organizationId, filter);
    if (owner === undefined || (rootId !== undefined && owner.rootId !== rootId)) return undefined;
    rootId = owner.rootId;
  }
  const group = rootId && (await getProfileGroup(db, organizationId, rootId));
  return group && effectiveProfile(group);
}
