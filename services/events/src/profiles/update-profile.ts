// UpdateProfile: changes the fields named by the mask, moves identities along, and announces it.
import type {
  ProfileChanges,
  ProfileService,
  UpdateProfileRequest,
} from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { profileChanged } from "../domain-events.ts";
import { identitiesOf, type Profile } from "./profile.ts";
import { checkProfileFields, profileToProto, requireProfileId } from "./profile-proto.ts";
import { deleteIdentities, insertIdentities, lockProfile, updateProfileRow } from "./profile-store.ts";
import { claimingTransaction, refuseTaken } from "./write-identities.ts";

const FIELD_PREFIX = "profile.";
/** Mask paths and the fields they name. */
const changeable = {
  user_id: "userId",
  anonymous_id: "anonymousId",
  email: "email",
  name: "name",
  traits: "traits",
} as const;
type Path = keyof typeof changeable;

export function updateProfile(deps: EventsDeps): UnaryHandler<typeof ProfileService.method.updateProfile> {
  return async (request, context) => {
    const profileId = requireProfileId(request.profileId);
    const paths = pathsOf(request);
    const { profile: changes } = request;
    if (changes !== undefined) checkProfileFields(changes, FIELD_PREFIX);
    const { profile, isChanged } = await claimingTransaction(deps.database, async (trx) => {
      const before = await lockProfile(trx, context.organizationId, profileId);
      if (before === undefined) throw new AppError("PROFILE_NOT_FOUND");
      const after = applyChanges(before, changes, paths, deps.clock.nowMs());
      if (paths.length === 0) return { profile: before, isChanged: false };
      const lost = identitiesOf(before).filter((identity) => !includes(identitiesOf(after), identity));
      const gained = identitiesOf(after).filter((identity) => !includes(identitiesOf(before), identity));
      await refuseTaken(trx, after, gained, FIELD_PREFIX);
      await deleteIdentities(trx, before, lost);
      await insertIdentities(
        trx,
        gained.map((identity) => ({ profile: after, identity })),
      );
      await updateProfileRow(trx, after);
      await deps.outbox.append(trx, [profileChanged(after, context.traceParent)]);
      return { profile: after, isChanged: true };
    });
    if (isChanged) deps.outbox.committed();
    return { profile: profileToProto(profile) };
  };
}

function pathsOf(request: UpdateProfileRequest): Path[] {
  const { profile, updateMask } = request;
  const paths = updateMask?.paths ?? [];
  if (paths.length === 0) {
    return (Object.keys(changeable) as Path[]).filter((path) => profile?.[changeable[path]] !== undefined);
  }
  for (const path of paths) {
    if (!Object.hasOwn(changeable, path)) {
      throw invalidField("update_mask", `names no field that can be changed: ${path.slice(0, 100)}`);
    }
  }
  return [...new Set(paths as Path[])];
}

function applyChanges(
  before: Profile,
  changes: ProfileChanges | undefined,
  paths: readonly Path[],
  nowMs: number,
): Profile {
  const set = (path: Exclude<Path, "traits">): string | undefined =>
    paths.includes(path) ? changes?.[changeable[path]] : before[changeable[path]];
  const after: Profile = {
    ...before,
    userId: set("user_id"),
    anonymousId: set("anonymous_id"),
    email: set("email"),
    name: set("name"),
    traits: paths.includes("traits") ? (changes?.traits ?? "{}") : before.traits,
    // The clock may have been set back since.
    updateMs: Math.max(nowMs, before.updateMs),
  };
  if (identitiesOf(after).length === 0) {
    const cleared = paths.filter((path) => path !== "name" && path !== "traits");
    throw new AppError("FIELD_INVALID", {
      message: "one of user_id, anonymous_id and email must remain",
      fields: cleared.map((path) => ({
        field: `${FIELD_PREFIX}${path}`,
        message: "one of user_id, anonymous_id and email must remain",
      })),
    });
  }
  return after;
}

function includes(
  identities: readonly { readonly kind: string; readonly value: string }[],
  sought: { readonly kind: string; readonly value: string },
): boolean {
  return identities.some(({ kind, value }) => kind === sought.kind && value === sought.value);
}
