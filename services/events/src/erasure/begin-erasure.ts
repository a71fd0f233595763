// Begins an erasure in one transaction. After the commit no read returns the person, the identities are free,
// and no further message about the person is published. The transaction leaves tasks that remove the
// remaining data.
import type { Clock, IdSource, OrganizationId, ProfileId } from "@muster/core";
import { shardOf } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { lockPositions, type OutboxDraft, type OutboxPort, readPositions } from "@muster/outbox";
import { profileChanged, profileErased } from "../domain-events/domain-events.ts";
import { markOrganizationWithErasures } from "../erased-events/erased-events-store.ts";
import { IDENTITY_CONFLICTS_MAX, IdentityConflict } from "../identity-graph/identity-transaction.ts";
import { incrementIdentityVersions } from "../identity-graph/identity-versions-store.ts";
import { getProfileGroup, lockProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { listMergeTargets } from "../identity-graph/merges-store.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "../identity-graph/profile-group.ts";
import { deleteIdentitiesOf } from "../profile-storage/identity-store.ts";
import { identitiesOf } from "../profile-storage/profile.ts";
import { deleteProfiles } from "../profile-storage/profile-store.ts";
import { type ErasureKey, type ErasureTask, locations } from "./erasure.ts";
import { addRemovedCountsOf, insertErasure, insertRemovedCounts } from "./erasure-store.ts";
import { locationOf, PROFILE_TABLES } from "./profile-tables-store.ts";
import { insertTasks } from "./task-store.ts";

/** The ports of the first transaction. */
export interface BeginErasureDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  readonly outbox: Pick<OutboxPort, "append" | "committed">;
}

/** The person to erase, and the lease on the first cleanup. */
export interface ErasureRequest {
  readonly organizationId: OrganizationId;
  readonly traceParent: string;
  /** Finds any profile of the person. Undefined: no person to erase. */
  readonly find: (trx: Transaction) => Promise<ProfileId | undefined>;
  /** The lease of the caller on the tasks, in milliseconds. */
  readonly leaseUntilMs: number;
}

/** A committed erasure with the tasks of the cleanup. */
export interface StartedErasure {
  readonly erasure: ErasureKey;
  readonly tasks: readonly ErasureTask[];
}

/** Returns undefined when no person exists. */
export async function beginErasure(
  deps: BeginErasureDeps,
  request: ErasureRequest,
): Promise<StartedErasure | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const started = await deps.database.transaction((trx) => beginInTransaction(deps, trx, request));
      if (started !== undefined) deps.outbox.committed();
      return started;
    } catch (error) {
      if (!(error instanceof IdentityConflict)) throw error;
      if (attempt === IDENTITY_CONFLICTS_MAX) {
        throw new AppError("UNAVAILABLE", { cause: error, retryAfterMs: 1000 });
      }
    }
  }
}

async function beginInTransaction(
  deps: BeginErasureDeps,
  trx: Transaction,
  request: ErasureRequest,
): Promise<StartedErasure | undefined> {
  const { organizationId, traceParent, find, leaseUntilMs } = request;
  const profileId = await find(trx);
  if (profileId === undefined) return undefined;
  const group = (await lockProfileGroups(trx, organizationId, [profileId])).get(profileId);
  if (group === undefined) return undefined;
  // The profile can belong to another person by the time of the lock.
  if ((await find(trx)) !== profileId) throw new IdentityConflict();
  const nowMs = deps.clock.nowMs();
  const erasure: ErasureKey = { organizationId, id: deps.ids.next(nowMs) };
  const profileIds = groupProfiles(group).map(({ id }) => id);
  const mergeTargetIds = await listMergeTargets(trx, organizationId, profileIds);
  await deleteErasedProfiles(trx, erasure, group, nowMs);
  const shards = [...profileIds, ...mergeTargetIds].map((id) => shardOf(organizationId, id));
  // Concurrent transactions publish about these profiles before this point, or plan again.
  await lockPositions(
    trx,
    [...new Set(shards)].sort((a, b) => a - b),
  );
  const positions = await readPositions(trx);
  await deps.outbox.append(trx, [
    ...profileIds.map((id) => profileErased(erasure, id, traceParent)),
    ...(await republishMergeTargets(trx, organizationId, mergeTargetIds, traceParent)),
  ]);
  await incrementIdentityVersions(
    trx,
    profileIds.map((id) => shardOf(organizationId, id)),
  );
  const tasks = [...profileIds, ...mergeTargetIds].map((id): ErasureTask => {
    const shard = shardOf(organizationId, id);
    const isMergeTarget = mergeTargetIds.includes(id);
    return { erasure, shard, profileId: id, isMergeTarget, position: positions[shard] ?? 0 };
  });
  await insertTasks(trx, tasks, leaseUntilMs);
  return { erasure, tasks };
}

async function deleteErasedProfiles(
  trx: Transaction,
  erasure: ErasureKey,
  group: ProfileGroup,
  nowMs: number,
): Promise<void> {
  await insertErasure(trx, erasure, nowMs);
  // A receipt lists every location that was searched.
  await insertRemovedCounts(
    trx,
    erasure,
    group.root.id,
    [...Object.values(locations), ...new Set(PROFILE_TABLES.map(locationOf))].map((location) => ({
      location,
      count: 0,
    })),
  );
  // A person has up to 1,000 profiles, so that each table takes a few statements.
  const profiles = groupProfiles(group);
  await deleteIdentitiesOf(trx, erasure.organizationId, profiles);
  await addRemovedCountsOf(
    trx,
    erasure,
    new Map(
      profiles.map((profile) => [
        profile.id,
        [
          { location: locations.profiles, count: 1 },
          { location: locations.identities, count: identitiesOf(profile).length },
        ],
      ]),
    ),
  );
  await deleteProfiles(
    trx,
    erasure.organizationId,
    profiles.map(({ id }) => id),
  );
  await markOrganizationWithErasures(trx, erasure.organizationId);
}

/**
 * Publishes the current state of merge targets again, because their older messages show traits of the person
 * and are rewritten. Consumers that did not apply the older messages receive the current state. Invariant:
 * the transaction holds the positions of the shards.
 */
async function republishMergeTargets(
  trx: Transaction,
  organizationId: OrganizationId,
  mergeTargetIds: readonly ProfileId[],
  traceParent: string,
): Promise<OutboxDraft[]> {
  const drafts: OutboxDraft[] = [];
  for (const id of mergeTargetIds) {
    const group = await getProfileGroup(trx, organizationId, id);
    if (group?.root.id === id) drafts.push(profileChanged(effectiveProfile(group), traceParent));
  }
  return drafts;
}
