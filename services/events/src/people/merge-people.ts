// Merges and separates profile groups inside a transaction. Rows do not move: a merge links profiles, and
// reads and published messages follow the links.
import type { Clock, IdSource, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft, OutboxPort } from "@muster/outbox";
import { lockAlertHistory } from "../alerts/history-store.ts";
import { profileChanged, profileMerged, profileUnmerged, shardsOfPeopleChanged } from "../domain-events.ts";
import { updateIdentityRoots } from "../profiles/identity-store.ts";
import { identitiesOf } from "../profiles/profile.ts";
import type { Asked } from "./asked.ts";
import { bumpEpochs } from "./epochs-store.ts";
import { LINKED_PROFILES_MAX, touchProfile, updateLink, updateRoots } from "./links-store.ts";
import { insertMerge, markMergeUndone } from "./merges-store.ts";
import { lockPeople } from "./people.ts";
import { branchOf, nextMergeMs, type Person, profileIdsOf, profileOf, profilesOf } from "./person.ts";

/** Maximum size of the traits of all linked profiles, because a read loads all of them into memory. */
const PERSON_TRAITS_BYTES_MAX = 1024 * 1024;

export interface MergeDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** The changed group, and the messages to publish at the end of the transaction. */
export interface PeopleChange {
  readonly person: Person;
  readonly drafts: readonly OutboxDraft[];
}

/** Locks both groups and merges the group of `profileId` into the group of `intoId`. */
export async function mergeInTransaction(
  deps: MergeDeps,
  trx: Transaction,
  asked: Asked & { readonly profileId: ProfileId; readonly intoId: ProfileId },
): Promise<PeopleChange> {
  const people = await lockPeople(trx, asked.organizationId, [asked.profileId, asked.intoId]);
  const ending = people.get(asked.profileId);
  const staying = people.get(asked.intoId);
  if (ending === undefined || staying === undefined) throw new AppError("PROFILE_NOT_FOUND");
  if (ending.root.id === staying.root.id) throw new AppError("PROFILE_MERGED_BEFORE");
  if (!canMerge(ending, staying)) throw new AppError("MERGE_LIMIT_REACHED");
  return mergeLocked(deps, trx, asked, { ending, staying });
}

/** Whether the merged group would stay within the limits of linked profiles and traits. */
export function canMerge(one: Person, other: Person): boolean {
  const profiles = [...profilesOf(one), ...profilesOf(other)];
  const bytes = profiles.reduce((sum, { traits }) => sum + Buffer.byteLength(traits), 0);
  return profiles.length <= LINKED_PROFILES_MAX && bytes <= PERSON_TRAITS_BYTES_MAX;
}

/** Like `mergeInTransaction`, for two different locked groups for which `canMerge` holds. */
export async function mergeLocked(
  deps: MergeDeps,
  trx: Transaction,
  asked: Asked,
  { ending, staying }: { readonly ending: Person; readonly staying: Person },
): Promise<PeopleChange> {
  const { organizationId, traceParent } = asked;
  const nowMs = deps.clock.nowMs();
  const rootId = staying.root.id;
  const place = { parentId: rootId, rootId, atMs: nextMergeMs(staying, nowMs) };
  await lockAlertHistory(trx, organizationId, [ending.root.id, rootId]);
  await updateLink(trx, organizationId, ending.root.id, place);
  await updateRoots(
    trx,
    organizationId,
    ending.merged.map(({ id }) => id),
    rootId,
  );
  await updateIdentityRoots(trx, organizationId, profilesOf(ending).flatMap(identitiesOf), rootId);
  await touchProfile(trx, organizationId, rootId, nowMs);
  await insertMerge(trx, {
    organizationId,
    id: deps.ids.next(nowMs),
    profileId: ending.root.id,
    intoId: rootId,
    actor: asked.actor,
    mergedMs: nowMs,
  });
  const person: Person = {
    root: { ...staying.root, updateMs: Math.max(nowMs, staying.root.updateMs) },
    merged: [
      ...staying.merged,
      { ...ending.root, mergedInto: place },
      ...ending.merged.map((profile) => ({
        ...profile,
        mergedInto: profile.mergedInto && { ...profile.mergedInto, rootId },
      })),
    ],
  };
  const two = { organizationId, profileId: ending.root.id, rootId, traceParent };
  return { person, drafts: [...profileMerged(two), ...announceShown(staying, person, traceParent)] };
}

/** Separates the profile, together with all profiles merged into the profile, as a group. */
export async function unmergeInTransaction(
  deps: MergeDeps,
  trx: Transaction,
  asked: Asked & { readonly profileId: ProfileId },
): Promise<PeopleChange> {
  const { organizationId, profileId, traceParent } = asked;
  const whole = (await lockPeople(trx, organizationId, [profileId])).get(profileId);
  if (whole === undefined) throw new AppError("PROFILE_NOT_FOUND");
  const branch = branchOf(whole, profileId);
  if (branch === undefined) throw new AppError("PROFILE_NOT_MERGED");
  const nowMs = deps.clock.nowMs();
  await lockAlertHistory(trx, organizationId, [whole.root.id, profileId]);
  await updateLink(trx, organizationId, profileId, undefined);
  await updateRoots(
    trx,
    organizationId,
    branch.merged.map(({ id }) => id),
    profileId,
  );
  await updateIdentityRoots(trx, organizationId, identitiesOf(branch.root), undefined);
  await updateIdentityRoots(trx, organizationId, branch.merged.flatMap(identitiesOf), profileId);
  const rootId = whole.root.id;
  for (const id of [rootId, profileId].sort()) await touchProfile(trx, organizationId, id, nowMs);
  await markMergeUndone(trx, organizationId, profileId, { actor: asked.actor, atMs: nowMs });
  const gone = new Set(profileIdsOf(branch));
  const rest: Person = { root: whole.root, merged: whole.merged.filter(({ id }) => !gone.has(id)) };
  const person: Person = {
    root: { ...branch.root, mergedInto: undefined, updateMs: Math.max(nowMs, branch.root.updateMs) },
    merged: branch.merged.map((profile) => ({
      ...profile,
      mergedInto: profile.mergedInto && { ...profile.mergedInto, rootId: profileId },
    })),
  };
  const drafts = [
    ...profileUnmerged({ organizationId, profileId, rootId, traceParent }),
    ...announceShown(whole, rest, traceParent),
    profileChanged(profileOf(person), traceParent),
  ];
  return { person, drafts };
}

/**
 * Appends the messages at the end of a transaction and increments the identity versions. The transaction then
 * holds the positions of its shards. A transaction that used the previous identity graph has committed
 * before, or will run again.
 */
export async function announce(
  outbox: Pick<OutboxPort, "append">,
  trx: Transaction,
  drafts: readonly OutboxDraft[],
): Promise<void> {
  await outbox.append(trx, drafts);
  await bumpEpochs(trx, shardsOfPeopleChanged(drafts));
}

/** Returns no message if the published fields of the group did not change. */
function announceShown(before: Person, after: Person, traceParent: string): OutboxDraft[] {
  const [was, is] = [profileOf(before), profileOf(after)];
  const isSame = was.traits === is.traits && was.createMs === is.createMs;
  return isSame ? [] : [profileChanged(is, traceParent)];
}
