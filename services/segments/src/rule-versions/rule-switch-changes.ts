// Computes the membership changes that a rule switch publishes. A walk over each shard's profiles publishes
// an enter or exit for every profile whose membership differs between the two rules, and deletes the previous
// rule's rows. Until the walk has passed a profile, the previous rule's row holds the last published
// membership.
import type { Transaction } from "@muster/db";
import type { AnnouncedChange, CausedChange } from "../announcements/announcements.ts";
import { findMembers, type Membership, saveMemberships } from "../memberships/membership-store.ts";
import type { StoredProfile } from "../profiles/state-store.ts";
import { listPurgesOf, type Purge, type RuleSwitch } from "./purge-store.ts";

/**
 * Returns the changes that differ from the last published membership, and updates that membership.
 * Invariant: the process of the transaction owns the shards of the changes, and runs the walk over them.
 */
export async function withoutPublished(
  trx: Transaction,
  changes: readonly AnnouncedChange[],
): Promise<AnnouncedChange[]> {
  const groups = Map.groupBy(changes, ({ organizationId, segment }) =>
    segment.previousEvaluationId === undefined ? "" : `${organizationId}/${segment.previousEvaluationId}`,
  );
  const unpublished = groups.get("") ?? [];
  for (const [key, group] of groups) if (key !== "") unpublished.push(...(await unpublishedOf(trx, group)));
  return unpublished;
}

/** Handles the changes of one segment with a rule switch in progress. */
async function unpublishedOf(
  trx: Transaction,
  group: readonly AnnouncedChange[],
): Promise<AnnouncedChange[]> {
  const [first] = group;
  const previousEvaluationId = first?.segment.previousEvaluationId;
  if (first === undefined || previousEvaluationId === undefined) return [...group];
  const { organizationId } = first;
  const purges = await listPurgesOf(trx, organizationId, previousEvaluationId);
  const cursors = new Map(purges.map(({ shard, afterProfileId }) => [shard, afterProfileId]));
  const isAhead = ({ shard, profileId }: AnnouncedChange): boolean => {
    const cursor = cursors.get(shard);
    return cursor !== undefined && profileId > cursor;
  };
  const ahead = group.filter(isAhead);
  const published = await findMembers(
    trx,
    organizationId,
    previousEvaluationId,
    ahead.map(({ profileId }) => profileId),
  );
  const unpublished = ahead.filter(({ profileId, member }) => published.has(profileId) !== member);
  // The counts are deleted with the rows, at the end of the walk.
  await saveMemberships(
    trx,
    unpublished.map((change) => ({ ...change, evaluationId: previousEvaluationId })),
  );
  return [...group.filter((change) => !isAhead(change)), ...unpublished];
}

export interface Differences {
  readonly changes: readonly CausedChange[];
  /** Members according to both rules that entered by the previous rule after the backfill of the new one. */
  readonly entered: readonly Membership[];
}

/** Compares both rules for these profiles of a shard. Profiles that the walk has passed are left out. */
export async function differencesOf(
  trx: Transaction,
  purge: Purge & { readonly ruleSwitch: RuleSwitch },
  profiles: readonly StoredProfile[],
  nowMs: number,
): Promise<Differences> {
  const { organizationId, shard, evaluationId, afterProfileId } = purge;
  const { successorId, publishesEntries } = purge.ruleSwitch;
  const ahead = profiles.filter(({ profileId }) => profileId > afterProfileId);
  const ids = ahead.map(({ profileId }) => profileId);
  const published = await findMembers(trx, organizationId, evaluationId, ids);
  const changes: CausedChange[] = [];
  const entered: Membership[] = [];
  for (const { profileId, state } of ahead) {
    const [isMs, wasMs] = [state.memberships.get(successorId), published.get(profileId)];
    const common = { organizationId, shard, evaluationId: successorId, profileId, changedMs: nowMs };
    if (isMs !== undefined && wasMs !== undefined) {
      if (isMs < wasMs) entered.push({ ...common, member: true, enteredMs: wasMs });
      continue;
    }
    const enteredMs = isMs ?? wasMs;
    const member = isMs !== undefined;
    if (enteredMs === undefined || (member && !publishesEntries)) continue;
    const cause = { origin: "edit", instantMs: nowMs, eventId: undefined } as const;
    changes.push({ ...common, member, enteredMs, cause });
  }
  return { changes, entered };
}
