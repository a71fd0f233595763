// Reads the announcements of the segments service, and replays them to memberships.

import type { MembershipChange } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, SHARD_COUNT } from "@muster/core";
import type { Database } from "@muster/db";
import { readMessages } from "@muster/outbox/testing";
import { expect } from "vitest";
import type { Announcement } from "../src/announcements/announcements.ts";
import { announcementsOf } from "../src/announcements/announcements.ts";

export interface AnnouncedMembership {
  readonly member: boolean;
  readonly segmentId: string;
  readonly profileId: string;
  readonly change: MembershipChange;
}

/** Returns all entries and exits, in order for each shard. */
export async function readAnnouncements(database: Database): Promise<AnnouncedMembership[]> {
  const announced: AnnouncedMembership[] = [];
  for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
    const range = { shard, afterPosition: 0, limit: 100_000 };
    const messages = await readMessages(database.reader, "segments", range);
    for (const item of messages.flatMap((message): Announcement[] => announcementsOf(message))) {
      if (item.kind !== "changed") continue;
      const { change, member } = item;
      const segmentId = bytesToUuid(change.segmentId);
      announced.push({ member, segmentId, profileId: bytesToUuid(change.profileId), change });
    }
  }
  return announced;
}

/** Returns the members after these changes. Fails if a profile enters twice or exits without an entry. */
export function replayMembership(
  announced: readonly Pick<AnnouncedMembership, "member" | "profileId">[],
  before?: Iterable<string>,
): Set<string> {
  const members = new Set(before);
  for (const { member, profileId } of announced) {
    expect(members.has(profileId), `${profileId} ${member ? "enters twice" : "leaves twice"}`).toBe(!member);
    if (member) members.add(profileId);
    else members.delete(profileId);
  }
  return members;
}
