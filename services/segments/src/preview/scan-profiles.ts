// Reads profiles with their raw events, one after the other: all of an organization, or a given set.

import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ALL_SHARDS,
  chunksOf,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  SeededRandom,
  SHARD_COUNT,
  shardOf,
} from "@muster/core";
import type { ClientCallOptions } from "@muster/rpc";
import type { ConcurrencyLimitOptions } from "@muster/runtime";
import { ruleReadsEventsBefore } from "../engine/rule/lookback.ts";
import type { EngineEvent, EngineProfile } from "../engine/state/apply-events.ts";
import { eventIdText } from "../events/decode-message.ts";
import type { EventsFeed, ScanRequest } from "../events/events-feed.ts";
import { NO_PROFILE } from "../profiles/profile-key.ts";
import type { RuleSimulation } from "./rule-simulation.ts";

/** Receives one profile's events in the order in which they happened. */
export interface ProfileSink {
  record(event: EngineEvent): void;
  finish(): void;
}

export interface IdentifiedProfile extends EngineProfile {
  readonly id: ProfileId;
}

export interface ProfileScan {
  readonly feed: EventsFeed;
  readonly organizationId: OrganizationId;
  readonly simulation: RuleSimulation;
  readonly options: ClientCallOptions;
  /** Records the completeness of each snapshot. */
  readonly horizon: RetentionHorizon;
  begin(profile: IdentifiedProfile): ProfileSink;
}

/** Tracks the instant since when all raw events that were read are complete; 0: from the beginning. */
export class RetentionHorizon {
  #ms = 0;

  record(completeSinceMs: number): void {
    this.#ms = Math.max(this.#ms, completeSinceMs);
  }

  /** For results about instants from `fromMs` on; empty when no missing event can matter. */
  completeSince({ rule, definitions }: RuleSimulation, fromMs: number): { completeSince?: Timestamp } {
    const isBehind = ruleReadsEventsBefore(rule, this.#ms, fromMs, (id) =>
      definitions.ruleOf(id as EvaluationId),
    );
    return isBehind ? { completeSince: timestampFromMs(this.#ms) } : {};
  }
}

/** Limits the scans of a process, because interactive reads must not slow down the projection or events. */
export const SCAN_LIMIT: ConcurrencyLimitOptions = { max: 4, retryAfterMs: 1000 };
/** A smaller page wastes less work when a scan is aborted; a larger page needs fewer calls. */
const PROFILES_PER_PAGE = 250;
const CONCURRENT_SHARDS = 4;

/** Scans all profiles. Returns false if `shouldStop` ended the scan between two pages. */
export async function scanAll(scan: ProfileScan, shouldStop: () => boolean): Promise<boolean> {
  const shards = [...ALL_SHARDS];
  const scanShards = async (): Promise<void> => {
    for (let shard = shards.shift(); shard !== undefined; shard = shards.shift()) {
      for (let after: ProfileId | undefined = NO_PROFILE; after !== undefined; ) {
        if (shouldStop()) return;
        const page = await scanPage(scan, shard, { after, limit: PROFILES_PER_PAGE });
        after = page.more ? page.last : undefined;
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_SHARDS }, scanShards));
  return !shouldStop();
}

/** Scans these profiles of any shards until `shouldStop` returns true between two pages. */
export async function scanSome(
  scan: ProfileScan,
  profileIds: readonly ProfileId[],
  shouldStop: () => boolean,
): Promise<void> {
  const byShard = Map.groupBy(profileIds, (id) => shardOf(scan.organizationId, id));
  let pages = 0;
  for (const [shard, own] of byShard) {
    for (const ids of chunksOf(own, PROFILES_PER_PAGE)) {
      // At least one page, so that there is a result.
      if (pages > 0 && shouldStop()) return;
      await scanPage(scan, shard, { ids });
      pages += 1;
    }
  }
}

/** At most `limit` random profiles, and the total number of profiles. */
export async function sampleProfiles(
  { feed, organizationId, options }: Pick<ProfileScan, "feed" | "organizationId" | "options">,
  limit: number,
  seed: number,
): Promise<{ readonly profileCount: number; readonly profileIds: ProfileId[] }> {
  // Shards are random samples themselves. Further shards are read only when one has too few profiles.
  const first = new SeededRandom(seed).integer(0, SHARD_COUNT - 1);
  const profileIds: ProfileId[] = [];
  let profileCount = 0;
  for (let turn = 0; turn < SHARD_COUNT; turn += 1) {
    const of = { shard: (first + turn) % SHARD_COUNT, limit: limit - profileIds.length, seed };
    const sample = await feed.sample(organizationId, of, options);
    profileCount = sample.profileCount;
    profileIds.push(...sample.profileIds);
    if (profileIds.length >= Math.min(limit, profileCount)) break;
  }
  return { profileCount, profileIds };
}

async function scanPage(
  scan: ProfileScan,
  shard: number,
  profiles: ScanRequest["profiles"],
): Promise<{ readonly more: boolean; readonly last: ProfileId | undefined }> {
  const { feed, organizationId, simulation, options, horizon } = scan;
  let current: { readonly id: ProfileId; readonly sink: ProfileSink } | undefined;
  const names = simulation.definitions.eventNames();
  const request = {
    organizationId,
    shard,
    profiles,
    eventNames: names === "every" ? [] : names,
    // An empty list of names would select all events.
    withoutEvents: names.length === 0,
  };
  const { more, completeSinceMs } = await feed.scan(
    request,
    (id, events, { createTimeMs, traits }) => {
      if (current?.id !== id) {
        current?.sink.finish();
        current = { id, sink: scan.begin({ id, createMs: Number(createTimeMs), traits }) };
      }
      for (const { id: eventId, name, occurredMs, properties } of events) {
        const instant = [Number(occurredMs), eventIdText(eventId)] as const;
        current.sink.record({ eventName: name, instant, properties });
      }
    },
    options,
  );
  current?.sink.finish();
  horizon.record(completeSinceMs);
  return { more, last: current?.id };
}
