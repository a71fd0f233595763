// Marks what a dead letter was about, so that it is rebuilt from raw events before reads return it.

import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { addErasures, type ErasedProfile } from "../erasure/erasure-store.ts";
import { decodeMessage, erasuresIn } from "../events/decode-message.ts";
import { listOrganizationIds, readVersions } from "../organizations/organization-store.ts";
import { provisionOrganization } from "../organizations/provision-organization.ts";
import { compareProfileKeys, profileKeyText } from "../profiles/profile-key.ts";
import { addProfileRebuilds, type ProfileRebuild } from "../profiles/rebuild-store.ts";
import {
  ALL_EVALUATIONS,
  addBackfills,
  lockIncompleteShards,
  markShardIncomplete,
} from "../rebuild/backfill-store.ts";

const PAGE = 500;

/** Marks the message's profiles, or the whole shard if the message cannot be decoded. */
export async function markDeadLetter(
  trx: Transaction,
  envelope: Envelope | undefined,
  shard: number,
  nowMs: number,
): Promise<void> {
  const affected = envelope === undefined ? undefined : profilesOf(envelope);
  if (affected === undefined) return markShard(trx, shard, nowMs);
  const { keys, erased } = affected;
  await addProfileRebuilds(trx, keys);
  await addErasures(trx, erased, nowMs);
  // No message of an organization may pass before it is provisioned: see provisionOrganization.
  const organizationIds = [...new Set(keys.map((key) => key.organizationId))];
  const known = await readVersions(trx, organizationIds);
  for (const id of organizationIds) if (!known.has(id)) await provisionOrganization(trx, id, nowMs);
}

/** Undefined if the message cannot be decoded. */
function profilesOf(
  envelope: Envelope,
): { readonly keys: ProfileRebuild[]; readonly erased: readonly ErasedProfile[] } | undefined {
  try {
    const { events, profiles, identityChanges, shard } = decodeMessage(envelope);
    const keys = new Map<string, ProfileRebuild>();
    for (const { organizationId, profileId } of [...profiles, ...events]) {
      const key = { organizationId, shard, profileId, reason: "stale" } as const;
      keys.set(profileKeyText(organizationId, profileId), key);
    }
    for (const { organizationId, profileId, reason } of identityChanges) {
      keys.set(profileKeyText(organizationId, profileId), { organizationId, shard, profileId, reason });
    }
    return { keys: [...keys.values()].sort(compareProfileKeys), erased: erasuresIn(identityChanges) };
  } catch {
    return undefined;
  }
}

/** Organizations not yet provisioned are unknown here: the shard's mark starts each with a backfill. */
async function markShard(trx: Transaction, shard: number, nowMs: number): Promise<void> {
  await lockIncompleteShards(trx);
  await markShardIncomplete(trx, shard, nowMs);
  let after: OrganizationId | undefined;
  for (;;) {
    const ids = await listOrganizationIds(trx, after, PAGE);
    for (const id of ids) await addBackfills(trx, id, ALL_EVALUATIONS, [shard]);
    after = ids.at(-1);
    if (ids.length < PAGE) return;
  }
}
