// When another rule takes over, those who are in by one rule and not by the other are told one by one, by a walk
// over each shard's profiles that clears away what the replaced rule kept. Until the walk has come by a profile,
// the replaced rule's row of it says what was told of it last.
import type { Transaction } from "@muster/db";
import { listPurgesOf, type Purge, type Telling } from "../backfills/purge-store.ts";
import { findMembers, type Membership, saveMemberships } from "../memberships/membership-store.ts";
import type { StoredProfile } from "../profiles/state-store.ts";
import type { AnnouncedChange, CausedChange } from "./announcements.ts";

/**
 * Those of the changes that are news to who was told of the replaced rule's members, which from here on know of
 * them. Invariant: the changes are of shards that the transaction's process owns, and so is the walk.
 */
export async function withoutKnown(
  trx: Transaction,
  changes: readonly AnnouncedChange[],
): Promise<AnnouncedChange[]> {
  const groups = Map.groupBy(changes, ({ organizationId, segment }) =>
    segment.toldId === undefined ? "" : `${organizationId}/${segment.toldId}`,
  );
  const news = groups.get("") ?? [];
  for (const [key, group] of groups) if (key !== "") news.push(...(await newsOf(trx, group)));
  return news;
}

/** Of one segment that is being told. */
async function newsOf(trx: Transaction, group: readonly AnnouncedChange[]): Promise<AnnouncedChange[]> {
  const [first] = group;
  const toldId = first?.segment.toldId;
  if (first === undefined || toldId === undefined) return [...group];
  const { organizationId } = first;
  const purges = await listPurgesOf(trx, organizationId, toldId);
  const walkedTo = new Map(purges.map(({ shard, afterProfileId }) => [shard, afterProfileId]));
  const isAhead = ({ shard, profileId }: AnnouncedChange): boolean => {
    const walked = walkedTo.get(shard);
    return walked !== undefined && profileId > walked;
  };
  const ahead = group.filter(isAhead);
  const told = await findMembers(
    trx,
    organizationId,
    toldId,
    ahead.map(({ profileId }) => profileId),
  );
  const news = ahead.filter(({ profileId, member }) => told.has(profileId) !== member);
  // The counts go with the rows, at the end of the walk.
  await saveMemberships(
    trx,
    news.map((change) => ({ ...change, segmentId: toldId })),
  );
  return [...group.filter((change) => !isAhead(change)), ...news];
}

export interface Differences {
  readonly changes: readonly CausedChange[];
  /** Members by both, who entered by the replaced rule after they were counted by the other. */
  readonly entered: readonly Membership[];
}

/** What the walk finds of these profiles of its shard: those up to where it has come are left out. */
export async function differencesOf(
  trx: Transaction,
  purge: Purge & { readonly telling: Telling },
  profiles: readonly StoredProfile[],
  nowMs: number,
): Promise<Differences> {
  const { organizationId, shard, segmentId, afterProfileId } = purge;
  const { heirId, tellsEntries } = purge.telling;
  const ahead = profiles.filter(({ profileId }) => profileId > afterProfileId);
  const ids = ahead.map(({ profileId }) => profileId);
  const told = await findMembers(trx, organizationId, segmentId, ids);
  const changes: CausedChange[] = [];
  const entered: Membership[] = [];
  for (const { profileId, state } of ahead) {
    const [isMs, wasMs] = [state.memberships.get(heirId), told.get(profileId)];
    const common = { organizationId, shard, segmentId: heirId, profileId, changedMs: nowMs };
    if (isMs !== undefined && wasMs !== undefined) {
      if (isMs < wasMs) entered.push({ ...common, member: true, enteredMs: wasMs });
      continue;
    }
    const enteredMs = isMs ?? wasMs;
    const member = isMs !== undefined;
    if (enteredMs === undefined || (member && !tellsEntries)) continue;
    const cause = { origin: "edit", instantMs: nowMs, eventId: undefined } as const;
    changes.push({ ...common, member, enteredMs, cause });
  }
  return { changes, entered };
}
