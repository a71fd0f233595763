// Looks at profiles of a running system again and again, until each has stood still for a look or time is up.
import { type Clock, type OrganizationId, type ProfileId, SHARD_COUNT, shardOf } from "@muster/core";
import type { Database } from "@muster/db";
import { PoisonMessage } from "@muster/outbox";
import { listOrganizationIds } from "../segments/organization-store.ts";
import type { AuditMetrics } from "./audit-metrics.ts";
import { readKept } from "./audit-store.ts";
import { type Comparison, compareProfile, type Mismatch, NOTHING_TO_COMPARE } from "./compare-profile.ts";
import { RandomSample } from "./random-sample.ts";
import type { RawEventSource } from "./raw-profiles.ts";

export interface AuditDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly metrics: AuditMetrics;
  readonly raw: RawEventSource;
}

export interface AuditRequest {
  readonly profiles: number;
  readonly seed: number;
  /** Undefined means all. */
  readonly organizationId: OrganizationId | undefined;
}

export interface Progress {
  readonly known: number;
  readonly chosen: number;
  checked: number;
  memberships: number;
  capped: number;
  beyondRetention: number;
  mismatches: number;
  unsettled: number;
}

export interface FoundMismatch extends Mismatch {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
}

export type AuditPart =
  | { readonly kind: "mismatch"; readonly mismatch: FoundMismatch }
  | { readonly kind: "progress"; readonly progress: Progress; readonly done: boolean };

interface Chosen {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
}

/** Profiles of one look: they share an organisation and a shard. */
interface Group {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profileIds: readonly ProfileId[];
}

const GROUP_PROFILES_MAX = 50;
const ORGANIZATIONS_PAGE = 500;
const LOOKS_MAX = 15;
const PAUSE_MS = 1000;
/** With more messages to fold than this, a look would be about the past; it comes later. */
const LAG_MAX = 2000;

export class Auditor {
  readonly #deps: AuditDeps;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
  }

  async *run(request: AuditRequest, signal: AbortSignal): AsyncGenerator<AuditPart> {
    const sample = await this.#choose(request, signal);
    const progress: Progress = {
      known: sample.seen,
      chosen: sample.chosen.length,
      ...{ checked: 0, memberships: 0, capped: 0, beyondRetention: 0, mismatches: 0, unsettled: 0 },
    };
    /** Profiles that disagreed at their last look. Reported if they do so again. */
    const suspects = new Set<ProfileId>();
    let left = groupsOf(sample.chosen);
    for (let look = 1; left.length > 0; look += 1) {
      const again: Chosen[] = [];
      for (const group of left) {
        signal.throwIfAborted();
        const compared = await this.#look(group, signal);
        for (const profileId of group.profileIds) {
          const { organizationId } = group;
          const found = this.#judge(profileId, compared.get(profileId), suspects, look);
          if (found === undefined) {
            again.push({ organizationId, profileId });
            continue;
          }
          count(progress, found);
          for (const mismatch of found.mismatches) {
            yield { kind: "mismatch", mismatch: { ...mismatch, organizationId, profileId } };
          }
        }
        yield { kind: "progress", progress: { ...progress, unsettled: again.length }, done: false };
      }
      if (look === LOOKS_MAX) progress.unsettled = again.length;
      left = look === LOOKS_MAX ? [] : groupsOf(again);
      if (left.length > 0) await this.#deps.clock.sleep(PAUSE_MS, signal);
    }
    yield { kind: "progress", progress, done: true };
  }

  /** The comparison that counts, or undefined if the profile is to be looked at again. */
  #judge(
    profileId: ProfileId,
    compared: Comparison | undefined,
    suspects: Set<ProfileId>,
    look: number,
  ): Comparison | undefined {
    if (compared === undefined) return undefined;
    const isSuspect = suspects.has(profileId);
    if (compared.mismatches.length > 0 && !isSuspect && look < LOOKS_MAX) {
      // The clocks of two replicas may differ: around the instant of a change both can be right.
      suspects.add(profileId);
      return undefined;
    }
    this.#deps.metrics.checked(compared.mismatches.length);
    return compared;
  }

  async #choose(
    { profiles, seed, organizationId }: AuditRequest,
    signal: AbortSignal,
  ): Promise<RandomSample<Chosen>> {
    const sample = new RandomSample<Chosen>(profiles, seed);
    for await (const organization of this.#organizations(organizationId)) {
      for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
        for await (const page of this.#deps.raw.walk(organization, shard, signal)) {
          for (const profileId of page) sample.offer({ organizationId: organization, profileId });
        }
      }
    }
    return sample;
  }

  async *#organizations(only: OrganizationId | undefined): AsyncGenerator<OrganizationId> {
    if (only !== undefined) {
      yield only;
      return;
    }
    for (let after: OrganizationId | undefined; ; ) {
      const page = await listOrganizationIds(this.#deps.database.reader, after, ORGANIZATIONS_PAGE);
      yield* page;
      after = page.at(-1);
      if (page.length < ORGANIZATIONS_PAGE) return;
    }
  }

  /**
   * Invariant: what is kept is read first, the raw events after, so these hold all that is folded; what
   * they hold beyond it is told apart by the messages in between.
   */
  async #look(group: Group, signal: AbortSignal): Promise<Map<ProfileId, Comparison>> {
    const { clock, database, raw } = this.#deps;
    const { organizationId, shard, profileIds } = group;
    const kept = await readKept(database, organizationId, shard, profileIds);
    const nowMs = clock.nowMs();
    const { position, profiles } = await raw.read(organizationId, shard, profileIds, signal);
    const compared = new Map<ProfileId, Comparison>();
    if (position - kept.folded > LAG_MAX) return compared;
    const later = await raw.later(shard, kept.folded, position, signal).catch((error: unknown) => {
      // It is on its way to the dead letters, and its profiles to a derivation.
      if (error instanceof PoisonMessage) return undefined;
      throw error;
    });
    if (later === undefined) return compared;
    for (const profileId of profileIds) {
      const truth = profiles.get(profileId);
      // Erased meanwhile, or merged into another: it belongs to nothing.
      if (truth === undefined) compared.set(profileId, NOTHING_TO_COMPARE);
      else {
        const comparison = compareProfile(profileId, truth, kept, later, nowMs);
        if (comparison !== undefined) compared.set(profileId, comparison);
      }
    }
    return compared;
  }
}

function count(progress: Progress, { memberships, capped, beyondRetention, mismatches }: Comparison): void {
  progress.checked += 1;
  progress.capped += capped;
  progress.beyondRetention += beyondRetention;
  progress.memberships += memberships;
  progress.mismatches += mismatches.length;
}

function groupsOf(chosen: readonly Chosen[]): Group[] {
  const byShard = new Map<
    string,
    { organizationId: OrganizationId; shard: number; profileIds: ProfileId[] }
  >();
  for (const { organizationId, profileId } of chosen) {
    const shard = shardOf(organizationId, profileId);
    const key = `${organizationId}/${shard}`;
    const group = byShard.get(key) ?? { organizationId, shard, profileIds: [] };
    byShard.set(key, group);
    group.profileIds.push(profileId);
  }
  return [...byShard.values()].flatMap(({ organizationId, shard, profileIds }) => {
    const groups: Group[] = [];
    profileIds.sort();
    for (let start = 0; start < profileIds.length; start += GROUP_PROFILES_MAX) {
      groups.push({
        organizationId,
        shard,
        profileIds: profileIds.slice(start, start + GROUP_PROFILES_MAX),
      });
    }
    return groups;
  });
}
