// Implements the small methods of EventFeedService: positions, missed messages and profiles.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  BODY_BYTES_MAX,
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  SeededRandom,
  uuidToBytes,
} from "@muster/core";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { rootsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { findOwners } from "../profile-storage/identity-store.ts";
import { countProfiles, listShardProfileIds } from "../profile-storage/profile-keys-store.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";
import { profileToProto } from "../profiles/profile-proto.ts";

type Methods = typeof EventFeedService.method;

export function getPositions(deps: EventsDeps): UnaryHandler<Methods["getPositions"]> {
  return async () => ({ positions: (await deps.outbox.positions()).map(BigInt) });
}

/** Number of messages of maximum size that fit into a response. */
const READ_AT_ONCE = 7;
/** Leaves room for the other fields of the response. */
const RESPONSE_BYTES_MAX = BODY_BYTES_MAX - 64 * 1024;

export function readOutbox(deps: EventsDeps): UnaryHandler<Methods["readOutbox"]> {
  return async ({ shard, afterPosition, limit }) => {
    const envelopes: Envelope[] = [];
    let bytes = 0;
    for (let after = Number(afterPosition); envelopes.length < limit; ) {
      const found = await deps.outbox.read(shard, after, Math.min(READ_AT_ONCE, limit - envelopes.length));
      for (const envelope of found) {
        bytes += envelope.data.byteLength + 1024;
        if (bytes > RESPONSE_BYTES_MAX && envelopes.length > 0) return { envelopes };
        envelopes.push(envelope);
        after = Number(envelope.position);
      }
      if (found.length === 0) break;
    }
    return { envelopes };
  };
}

export function reportApplied(deps: EventsDeps): UnaryHandler<Methods["reportApplied"]> {
  return async ({ consumer, shards }) => {
    const applied = shards.map(({ shard, position, itemsThrough }) => ({
      shard,
      position: Number(position),
      itemsThrough: Number(itemsThrough),
    }));
    await deps.outbox.reportApplied(consumer, applied);
    return {};
  };
}

export function batchGetProfiles(deps: EventsDeps): UnaryHandler<Methods["batchGetProfiles"]> {
  return async ({ organizationId, profileIds }) => {
    if (profileIds.some((id) => id.byteLength !== 16))
      throw invalidField("profile_ids", "must be of 16 bytes each");
    if (profileIds.length === 0) return { profiles: [] };
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const requested = profileIds.map((id) => bytesToUuid<ProfileId>(id));
    const rootIds = new Set((await rootsOf(db, organization, requested)).values());
    const roots = await getProfiles(db, organization, Array.from(rootIds, uuidToBytes));
    const people = await listProfileGroups(db, organization, roots);
    return { profiles: people.map((person) => profileToProto(effectiveProfile(person))) };
  };
}

export function batchResolveProfiles(deps: EventsDeps): UnaryHandler<Methods["batchResolveProfiles"]> {
  return async ({ organizationId, userIds, profileIds }) => {
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const owners = await findOwners(db, organization, "user_id", userIds);
    const users = [...owners].map(([userId, { rootId }]) => ({ userId, profileId: uuidToBytes(rootId) }));
    const requested = profileIds.map((id) => bytesToUuid<ProfileId>(id));
    const roots = [...(await rootsOf(db, organization, requested))];
    return {
      users,
      profileIds: roots.map(([profileId]) => uuidToBytes(profileId)),
      rootIds: roots.map(([, rootId]) => uuidToBytes(rootId)),
    };
  };
}

export function sampleProfiles(deps: EventsDeps): UnaryHandler<Methods["sampleProfiles"]> {
  return async ({ organizationId, shard, limit, seed }) => {
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const profileCount = await countProfiles(db, organization);
    const ids = limit === 0 ? [] : await listShardProfileIds(db, organization, shard);
    const random = new SeededRandom(Number(seed));
    const count = Math.min(limit, ids.length);
    // The first steps of a Fisher-Yates shuffle: each position gets any remaining id with equal probability.
    for (let place = 0; place < count; place += 1) {
      const other = random.integer(place, ids.length - 1);
      const [one, two] = [ids[place], ids[other]];
      if (one !== undefined && two !== undefined) [ids[place], ids[other]] = [two, one];
    }
    return { profileCount: BigInt(profileCount), profileIds: ids.slice(0, count) };
  };
}
