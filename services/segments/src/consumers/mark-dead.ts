// Marks what a dead letter was about, so that it is rebuilt from raw events before reads return it.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { ALL_SEGMENTS, addBackfills, lockTaints, taintShard } from "../backfills/backfill-store.ts";
import { addProfileDerivations, type ProfileDerivation } from "../backfills/derivation-store.ts";
import { addErasures, type ErasedProfile } from "../erasure/erasure-store.ts";
import { compareProfileKeys, profileKeyText } from "../profiles/state-store.ts";
import { listOrganizationIds, readVersions, touchOrganization } from "../segments/organization-store.ts";
import { decodeMessage, erasedOf } from "./decode-message.ts";

const PAGE = 500;

/** Marks the message's profiles, or the whole shard if the message cannot be decoded. */
export async function markDead(
  trx: Transaction,
  envelope: Envelope | undefined,
  shard: number,
  nowMs: number,
): Promise<void> {
  const dead = envelope === undefined ? undefined : profilesOf(envelope);
  if (dead === undefined) return markShard(trx, shard, nowMs);
  const { keys, erased } = dead;
  await addProfileDerivations(trx, keys);
  await addErasures(trx, erased, nowMs);
  // No message of an organization may pass before it is provisioned: see touchOrganization.
  const organizationIds = [...new Set(keys.map((key) => key.organizationId))];
  const known = await readVersions(trx, organizationIds);
  for (const id of organizationIds) if (!known.has(id)) await touchOrganization(trx, id, nowMs);
}

/** Undefined if the message cannot be decoded. */
function profilesOf(
  envelope: Envelope,
): { readonly keys: ProfileDerivation[]; readonly erased: readonly ErasedProfile[] } | undefined {
  try {
    const { events, profiles, persons, shard } = decodeMessage(envelope);
    const keys = new Map<string, ProfileDerivation>();
    for (const { organizationId, profileId } of [...profiles, ...events]) {
      const key = { organizationId, shard, profileId, reason: "doubt" } as const;
      keys.set(profileKeyText(organizationId, profileId), key);
    }
    for (const { organizationId, profileId, reason } of persons) {
      keys.set(profileKeyText(organizationId, profileId), { organizationId, shard, profileId, reason });
    }
    return { keys: [...keys.values()].sort(compareProfileKeys), erased: erasedOf(persons) };
  } catch {
    return undefined;
  }
}

/** Organizations not yet provisioned are unknown here: the shard's mark starts each with a backfill. */
async function markShard(trx: Transaction, shard: number, nowMs: number): Promise<void> {
  await lockTaints(trx);
  await taintShard(trx, shard, nowMs);
  let after: OrganizationId | undefined;
  for (;;) {
    const ids = await listOrganizationIds(trx, after, PAGE);
    for (const id of ids) await addBackfills(trx, id, ALL_SEGMENTS, [shard]);
    after = ids.at(-1);
    if (ids.length < PAGE) return;
  }
}
