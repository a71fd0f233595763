// Verifies random profiles of a running system, with retries until each could be compared.
import { setImmediate } from "node:timers/promises";
import { ALL_SHARDS, type Clock, chunksOf, type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import type { Database } from "@muster/db";
import { PoisonMessage } from "@muster/outbox";
import { listOrganizationIds } from "../organizations/organization-store.ts";
import { type Comparison, compareProfile, type Mismatch, NOTHING_TO_COMPARE } from "./compare-profile.ts";
import { RandomSample } from "./random-sample.ts";
import type { RawEventSource } from "./raw-profiles.ts";
import { readStoredSnapshot } from "./stored-snapshot.ts";
import type { VerificationMetrics } from "./verification-metrics.ts";

/** What the verifier needs. */
export interface VerifierDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly metrics: VerificationMetrics;
  readonly raw: RawEventSource;
}

export interface VerificationRequest {
  /** How many profiles to verify; all if there are fewer. */
  readonly profiles: number;
  /** The same seed chooses the same profiles of the same data. */
  readonly seed: number;
  /** Undefined means all organizations. */
  readonly organizationId: OrganizationId | undefined;
}

/** Counts of one verification, as in the proto. */
export interface Progress {
  readonly known: number;
  readonly chosen: number;
  checked: number;
  memberships: number;
  capped: number;
  limited: number;
  beyondRetention: number;
  mismatches: number;
  inconclusive: number;
}

export interface FoundMismatch extends Mismatch {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
}

export type VerificationPart =
  | { readonly kind: "mismatch"; readonly mismatch: FoundMismatch }
  | { readonly kind: "progress"; readonly progress: Progress; readonly done: boolean };

interface ChosenProfile {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
}

/** Profiles of one attempt, of one organization and shard. */
interface ProfileGroup {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profileIds: readonly ProfileId[];
}

const GROUP_PROFILES_MAX = 50;
const ORGANIZATIONS_PAGE = 500;
/** Attempts for each profile. */
const ATTEMPTS_MAX = 15;
/** Pause between two attempts. */
const PAUSE_MS = 1000;
/** With more unapplied messages, a comparison would be about the past, so it is retried later. */
const LAG_MAX = 2000;

/** Writes nothing, and does not pause the running system. */
export class SegmentVerifier {
  readonly #deps: VerifierDeps;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  async *run(request: VerificationRequest, signal: AbortSignal): AsyncGenerator<VerificationPart> {
    const sample = await this.#choose(request, signal);
    const progress: Progress = {
      known: sample.seen,
      chosen: sample.chosen.length,
      checked: 0,
      memberships: 0,
      capped: 0,
      limited: 0,
      beyondRetention: 0,
      mismatches: 0,
      inconclusive: 0,
    };
    /** Profiles whose last comparison found a mismatch. Only a second mismatch is reported. */
    const mismatchedOnce = new Set<ProfileId>();
    let remaining = groupsOf(sample.chosen);
    for (let attempt = 1; remaining.length > 0; attempt += 1) {
      const retries: ChosenProfile[] = [];
      for (const group of remaining) {
        signal.throwIfAborted();
        const compared = await this.#compareGroup(group, signal);
        for (const profileId of group.profileIds) {
          const { organizationId } = group;
          const found = this.#acceptComparison(profileId, compared.get(profileId), mismatchedOnce, attempt);
          if (found === undefined) {
            retries.push({ organizationId, profileId });
            continue;
          }
          count(progress, found);
          for (const mismatch of found.mismatches) {
            yield { kind: "mismatch", mismatch: { ...mismatch, organizationId, profileId } };
          }
        }
        yield { kind: "progress", progress: { ...progress, inconclusive: retries.length }, done: false };
      }
      if (attempt === ATTEMPTS_MAX) progress.inconclusive = retries.length;
      remaining = attempt === ATTEMPTS_MAX ? [] : groupsOf(retries);
      if (remaining.length > 0) await this.#deps.clock.sleep(PAUSE_MS, signal);
    }
    yield { kind: "progress", progress, done: true };
  }

  /** Returns the comparison that counts; undefined if the profile is to be compared again. */
  #acceptComparison(
    profileId: ProfileId,
    compared: Comparison | undefined,
    mismatchedOnce: Set<ProfileId>,
    attempt: number,
  ): Comparison | undefined {
    if (compared === undefined) return undefined;
    const hasMismatchedBefore = mismatchedOnce.has(profileId);
    if (compared.mismatches.length > 0 && !hasMismatchedBefore && attempt < ATTEMPTS_MAX) {
      // The clocks of two replicas may differ, so both results can be right around the instant of a change.
      mismatchedOnce.add(profileId);
      return undefined;
    }
    this.#deps.metrics.checked(compared.mismatches.length);
    return compared;
  }

  async #choose(
    { profiles, seed, organizationId }: VerificationRequest,
    signal: AbortSignal,
  ): Promise<RandomSample<ChosenProfile>> {
    const sample = new RandomSample<ChosenProfile>(profiles, seed);
    for await (const organization of this.#organizations(organizationId)) {
      for (const shard of ALL_SHARDS) {
        for await (const page of this.#deps.raw.listProfileIds(organization, shard, signal)) {
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
   * Compares one group.
   *
   * Invariant: the stored data is read before the raw events, so the raw events include everything that was
   * applied. The messages in between show which events were not applied yet.
   */
  async #compareGroup(group: ProfileGroup, signal: AbortSignal): Promise<Map<ProfileId, Comparison>> {
    const { clock, database, raw } = this.#deps;
    const { organizationId, shard, profileIds } = group;
    const snapshot = await readStoredSnapshot(database, organizationId, shard, profileIds);
    const nowMs = clock.nowMs();
    const { position, profiles } = await raw.read(organizationId, shard, profileIds, signal);
    const compared = new Map<ProfileId, Comparison>();
    if (position - snapshot.appliedPosition > LAG_MAX) return compared;
    const later = await raw
      .later(shard, snapshot.appliedPosition, position, signal)
      .catch((error: unknown) => {
        // The message is about to become a dead letter, which marks its profiles for a rebuild.
        if (error instanceof PoisonMessage) return undefined;
        throw error;
      });
    if (later === undefined) return compared;
    for (const profileId of profileIds) {
      // Plain loops over many raw events: other work of the process gets its turn.
      await setImmediate();
      const truth = profiles.get(profileId);
      // The profile was erased or merged meanwhile, so it has no memberships.
      if (truth === undefined) compared.set(profileId, NOTHING_TO_COMPARE);
      else {
        const comparison = compareProfile(profileId, truth, snapshot, later, nowMs);
        if (comparison !== undefined) compared.set(profileId, comparison);
      }
    }
    return compared;
  }
}

function count(
  progress: Progress,
  { memberships, capped, limited, beyondRetention, mismatches }: Comparison,
): void {
  progress.checked += 1;
  progress.capped += capped;
  progress.limited += limited;
  progress.beyondRetention += beyondRetention;
  progress.memberships += memberships;
  progress.mismatches += mismatches.length;
}

function groupsOf(chosen: readonly ChosenProfile[]): ProfileGroup[] {
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
  return [...byShard.values()].flatMap(({ organizationId, shard, profileIds }) =>
    [...chunksOf(profileIds.sort(), GROUP_PROFILES_MAX)].map((chunk) => ({
      organizationId,
      shard,
      profileIds: chunk,
    })),
  );
}
