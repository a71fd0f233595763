// Reads profiles with their raw events and sends them to a thread: all of an organization, or a given set.

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
import { ruleReadsEventsBefore } from "../engine/rule/lookback.ts";
import type { EvaluatedRule } from "../engine/rule/rule.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import type { EventsFeed, ScanRequest } from "../events/events-feed.ts";
import { NO_PROFILE } from "../profiles/profile-key.ts";
import type { ProfileSender } from "./profile-sender.ts";
import type { RuleSimulation } from "./rule-simulation.ts";

export interface ProfileScan {
  readonly feed: EventsFeed;
  readonly organizationId: OrganizationId;
  /** Selects the events that are read. */
  readonly definitions: Definitions;
  readonly options: ClientCallOptions;
  /** Records the completeness of each snapshot. */
  readonly horizon: RetentionHorizon;
  readonly sender: ProfileSender;
}

/** Tracks the instant since when all raw events that were read are complete; 0: from the beginning. */
export class RetentionHorizon {
  #ms = 0;

  record(completeSinceMs: number): void {
    this.#ms = Math.max(this.#ms, completeSinceMs);
  }

  /** The recorded instant, if one of the rules may read events before it, for results from `fromMs` on. */
  completeSinceMs(
    rules: readonly EvaluatedRule[],
    fromMs: number,
    ruleOf: (id: EvaluationId) => EvaluatedRule | undefined,
  ): number | undefined {
    const isBehind = rules.some((rule) =>
      ruleReadsEventsBefore(rule, this.#ms, fromMs, (id) => ruleOf(id as EvaluationId)),
    );
    return isBehind ? this.#ms : undefined;
  }

  /** For results about instants from `fromMs` on; empty when no missing event can matter. */
  completeSince({ rule, definitions }: RuleSimulation, fromMs: number): { completeSince?: Timestamp } {
    const ms = this.completeSinceMs([rule], fromMs, definitions.ruleOf);
    return ms === undefined ? {} : { completeSince: timestampFromMs(ms) };
  }
}

/** Event names in the filter of a scan; with more, all events are read. */
const EVENT_NAMES_MAX = 10_000;
/** A smaller page wastes less work when a scan is aborted; a larger page needs fewer calls. */
const PROFILES_PER_PAGE = 250;
/** Small, because a page arrives in the order of ids, and a sample that ends early must stay random. */
const PROFILES_PER_SAMPLE_PAGE = 50;
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
  await scan.sender.flush();
  return !shouldStop();
}

/** Scans these profiles of any shards. */
export async function scanSome(
  scan: ProfileScan,
  profileIds: readonly ProfileId[],
  afterFirstPage: () => Promise<void> = async () => {},
): Promise<void> {
  let isFirst = true;
  const byShard = Map.groupBy(profileIds, (id) => shardOf(scan.organizationId, id));
  for (const [shard, own] of byShard) {
    for (const ids of chunksOf(own, PROFILES_PER_SAMPLE_PAGE)) {
      await scanPage(scan, shard, { ids });
      if (isFirst) await afterFirstPage();
      isFirst = false;
    }
  }
  await scan.sender.flush();
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
  const { feed, organizationId, definitions, options, horizon, sender } = scan;
  options.signal?.throwIfAborted();
  let last: ProfileId | undefined;
  const request = { organizationId, shard, profiles, ...eventFilter(definitions) };
  const { more, completeSinceMs } = await feed.scan(
    request,
    (id, events, { createTimeMs, traits }) => {
      last = id;
      return sender.add(shard, { id, createMs: Number(createTimeMs), traits }, events);
    },
    options,
  );
  sender.endLane(shard);
  horizon.record(completeSinceMs);
  return { more, last };
}

function eventFilter(definitions: Definitions): Pick<ScanRequest, "eventNames" | "withoutEvents"> {
  const eventNames = definitions.eventNames();
  if (eventNames === "every" || eventNames.length > EVENT_NAMES_MAX) return { eventNames: [] };
  // An empty list of names would select all events.
  return { eventNames, withoutEvents: eventNames.length === 0 };
}
