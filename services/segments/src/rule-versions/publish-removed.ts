// Publishes exits of profiles that a rebuild has emptied during a rule switch.
import type { Transaction } from "@muster/db";
import type { Announcer } from "../announcements/announcer.ts";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import { listRuleSwitches } from "./purge-store.ts";
import { differencesOf } from "./rule-switch-changes.ts";

/**
 * Publishes exits for profiles that only a replaced rule still counts as members. The profiles are of one
 * shard, and their states are already empty.
 */
export async function publishRemoved(
  trx: Transaction,
  announcer: Announcer,
  profiles: readonly ChangedProfile[],
  nowMs: number,
): Promise<void> {
  const [first] = profiles;
  if (first === undefined) return;
  for (const purge of await listRuleSwitches(trx, first.organizationId, first.shard)) {
    const { changes } = await differencesOf(trx, purge, profiles, nowMs);
    const changesWithCause = changes.map((change) => {
      const profile = profiles.find(({ profileId }) => profileId === change.profileId);
      return profile === undefined ? change : { ...change, cause: profile.causeOf(change) };
    });
    await announcer.announceChanges(trx, changesWithCause);
  }
}
