// Begins an erasure in one transaction. After the commit no read returns the person, the identities are free,
// and no further message about the person is published. The transaction leaves tasks that remove the
// remaining data.
import type { Clock, IdSource, OrganizationId, ProfileId } from "@muster/core";
import { shardOf } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft, OutboxPort } from "@muster/outbox";
import { lockPositions, readPositions } from "@muster/outbox/outbox-store";
import { profileChanged, profileErased } from "../domain-events.ts";
import { bumpEpochs } from "../people/epochs-store.ts";
import { getPerson, lockPeople } from "../people/people.ts";
import { PEOPLE_CHANGES_MAX, PeopleChanged } from "../people/people-changed.ts";
import { type Person, profileOf, profilesOf } from "../people/person.ts";
import { deleteIdentities } from "../profiles/identity-store.ts";
import { identitiesOf } from "../profiles/profile.ts";
import { markErasing } from "./erased-events-store.ts";
import { deleteProfiles } from "./erased-profiles-store.ts";
import { type ErasureKey, type ErasureTask, places } from "./erasure.ts";
import { addPlaces, insertErasure, keepPlaces } from "./erasure-store.ts";
import { formerRootsOf } from "./former-roots-store.ts";
import { PROFILE_ROWS, placeOf } from "./profile-rows-store.ts";
import { insertTasks } from "./task-store.ts";

export interface ErasePersonDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  readonly outbox: Pick<OutboxPort, "append" | "committed">;
}

/** The person to erase, and the lease on the first cleanup. */
export interface EraseRequest {
  readonly organizationId: OrganizationId;
  readonly traceParent: string;
  /** Finds any profile of the person. Undefined: no person to erase. */
  readonly find: (trx: Transaction) => Promise<ProfileId | undefined>;
  /** The lease of the caller on the tasks, in milliseconds. */
  readonly leaseUntilMs: number;
}

/** A committed erasure with the tasks of the cleanup. */
export interface BegunErasure {
  readonly erasure: ErasureKey;
  readonly tasks: readonly ErasureTask[];
}

/** Returns undefined when no person exists. */
export async function erasePerson(
  deps: ErasePersonDeps,
  request: EraseRequest,
): Promise<BegunErasure | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const begun = await deps.database.transaction((trx) => eraseInTransaction(deps, trx, request));
      if (begun !== undefined) deps.outbox.committed();
      return begun;
    } catch (error) {
      if (!(error instanceof PeopleChanged)) throw error;
      if (attempt === PEOPLE_CHANGES_MAX) {
        throw new AppError("UNAVAILABLE", { cause: error, retryAfterMs: 1000 });
      }
    }
  }
}

async function eraseInTransaction(
  deps: ErasePersonDeps,
  trx: Transaction,
  request: EraseRequest,
): Promise<BegunErasure | undefined> {
  const { organizationId, traceParent, find, leaseUntilMs } = request;
  const profileId = await find(trx);
  if (profileId === undefined) return undefined;
  const person = (await lockPeople(trx, organizationId, [profileId])).get(profileId);
  if (person === undefined) return undefined;
  // The profile can belong to another person by the time of the lock.
  if ((await find(trx)) !== profileId) throw new PeopleChanged();
  const nowMs = deps.clock.nowMs();
  const erasure: ErasureKey = { organizationId, id: deps.ids.next(nowMs) };
  const profileIds = profilesOf(person).map(({ id }) => id);
  const formerIds = await formerRootsOf(trx, organizationId, profileIds);
  await removePerson(trx, erasure, person, nowMs);
  const shards = [...profileIds, ...formerIds].map((id) => shardOf(organizationId, id));
  // Concurrent transactions publish about these profiles before this point, or plan again.
  await lockPositions(
    trx,
    [...new Set(shards)].sort((a, b) => a - b),
  );
  const positions = await readPositions(trx);
  await deps.outbox.append(trx, [
    ...profileIds.map((id) => profileErased(erasure, id, traceParent)),
    ...(await announceAgain(trx, organizationId, formerIds, traceParent)),
  ]);
  await bumpEpochs(
    trx,
    profileIds.map((id) => shardOf(organizationId, id)),
  );
  const tasks = [...profileIds, ...formerIds].map((id): ErasureTask => {
    const shard = shardOf(organizationId, id);
    const isFormerRoot = formerIds.includes(id);
    return { erasure, shard, profileId: id, isFormerRoot, position: positions[shard] ?? 0 };
  });
  await insertTasks(trx, tasks, leaseUntilMs);
  return { erasure, tasks };
}

async function removePerson(
  trx: Transaction,
  erasure: ErasureKey,
  person: Person,
  nowMs: number,
): Promise<void> {
  await insertErasure(trx, erasure, nowMs);
  // A receipt lists every location that was searched.
  await keepPlaces(
    trx,
    erasure,
    person.root.id,
    [...Object.values(places), ...new Set(PROFILE_ROWS.map(placeOf))].map((place) => ({ place, count: 0 })),
  );
  for (const profile of profilesOf(person)) {
    const identities = identitiesOf(profile);
    await deleteIdentities(trx, profile, identities);
    await addPlaces(trx, erasure, profile.id, [
      { place: places.profiles, count: 1 },
      { place: places.identities, count: identities.length },
    ]);
  }
  await deleteProfiles(
    trx,
    erasure.organizationId,
    profilesOf(person).map(({ id }) => id),
  );
  await markErasing(trx, erasure.organizationId);
}

/**
 * Publishes the current state of merge targets again, because their older messages show traits of the person
 * and are rewritten. Consumers that did not apply the older messages receive the current state. Invariant:
 * the transaction holds the positions of the shards.
 */
async function announceAgain(
  trx: Transaction,
  organizationId: OrganizationId,
  formerIds: readonly ProfileId[],
  traceParent: string,
): Promise<OutboxDraft[]> {
  const drafts: OutboxDraft[] = [];
  for (const id of formerIds) {
    const person = await getPerson(trx, organizationId, id);
    if (person?.root.id === id) drafts.push(profileChanged(profileOf(person), traceParent));
  }
  return drafts;
}
