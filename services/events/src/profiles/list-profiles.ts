// ListProfiles lists root profiles, oldest first. A filter matches an identity of any linked profile, so a
// filtered list has at most one entry.
import type { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { isUuid, type OrganizationId, PAGE_SIZE_DEFAULT, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { getProfileGroup, listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { type Identity, identitiesOf, type Profile } from "../profile-storage/profile.ts";
import { listProfiles as readPage } from "../profile-storage/profile-store.ts";
import { profileToProto } from "./profile-proto.ts";

export function listProfiles(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.listProfiles> {
  return async (request, context) => {
    const { organizationId } = context;
    const filters = identitiesOf(request);
    const scope = JSON.stringify(["profiles", organizationId, filters]);
    const after = openToken(deps, scope, request.pageToken);
    if (filters.length > 0) {
      const found = await findByIdentities(deps, organizationId, filters);
      const isAfter = found !== undefined && (after === undefined || found.id > after);
      return { profiles: isAfter ? [profileToProto(found)] : [], nextPageToken: "" };
    }
    const pageSize = request.pageSize || PAGE_SIZE_DEFAULT;
    const db = deps.database.reader;
    const roots = await readPage(db, organizationId, after, pageSize + 1);
    const page = await listProfileGroups(db, organizationId, roots.slice(0, pageSize));
    const last = page.at(-1)?.root;
    const hasMore = roots.length > pageSize && last !== undefined;
    return {
      profiles: page.map((group) => profileToProto(effectiveProfile(group))),
      nextPageToken: hasMore ? deps.pageTokens.seal(scope, [last.id]) : "",
    };
  };
}

function openToken(deps: EventsDeps, scope: string, token: string): ProfileId | undefined {
  if (token === "") return undefined;
  const [id] = deps.pageTokens.open(scope, token) ?? [];
  if (typeof id !== "string" || !isUuid(id)) throw new AppError("PAGE_TOKEN_INVALID");
  return id as ProfileId;
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
