// Handles PreviewSegment: counts the profiles that match an unsaved rule and returns some of them. All
// profiles are evaluated if that takes at most 300 ms; otherwise a random sample is, with an error bound.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PreviewSegmentResponseSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { ProfileId } from "@muster/core";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { ConcurrencyLimit } from "@muster/runtime";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { draftRule } from "./draft-rule.ts";
import type { RuleSimulation } from "./rule-simulation.ts";
import {
  type IdentifiedProfile,
  type ProfileScan,
  RetentionHorizon,
  sampleProfiles,
  scanAll,
  scanSome,
} from "./scan-profiles.ts";
import { estimateCount } from "./wilson.ts";

/** Time limit of the full count, and again of the sample that follows it. */
const BUDGET_MS = 300;
const SAMPLE_PROFILES_MAX = 5000;
const SHOWN_MAX = 10;

export function previewSegment(
  deps: SegmentsDeps,
  scanLimit: ConcurrencyLimit,
): MethodHandler<typeof SegmentService.method.previewSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const { simulation } = await draftRule(deps, organizationId, request);
    const counted = await scanLimit.run(() => countMatches(deps, context, simulation, request.exact));
    const { members, shown, ...response } = counted;
    const profiles = await deps.feed.profiles(organizationId, shown, onBehalfOf(context));
    return { ...response, sample: shown.flatMap((id) => profiles.get(id) ?? []) };
  };
}

interface PreviewCount
  extends Omit<MessageInitShape<typeof PreviewSegmentResponseSchema>, "sample" | "$typeName"> {
  readonly members: number;
  readonly shown: readonly ProfileId[];
}

async function countMatches(
  deps: SegmentsDeps,
  context: CallContext,
  simulation: RuleSimulation,
  isExactWanted: boolean,
): Promise<PreviewCount> {
  const startMs = deps.clock.nowMs();
  const all = new MatchCounter(deps, context, simulation, startMs);
  if (await all.countAll(isExactWanted ? undefined : BUDGET_MS)) {
    const { members, checked, shown } = all;
    return {
      ...all.horizon.completeSince(simulation, startMs),
      members,
      shown,
      exact: true,
      errorBound: 0n,
      count: BigInt(members),
      profilesChecked: BigInt(checked),
      profileCount: BigInt(checked),
    };
  }
  const sampled = new MatchCounter(deps, context, simulation, startMs);
  const total = await sampled.countSample(startMs);
  const { members, checked, shown } = sampled;
  const { count, errorBound } = estimateCount(members, checked, total);
  return {
    ...sampled.horizon.completeSince(simulation, startMs),
    members,
    shown,
    exact: checked >= total,
    errorBound: BigInt(errorBound),
    count: BigInt(count),
    profilesChecked: BigInt(checked),
    profileCount: BigInt(total),
  };
}

/** Evaluates each profile at the same instant, and counts the matches. */
class MatchCounter {
  checked = 0;
  members = 0;
  readonly shown: ProfileId[] = [];
  readonly horizon = new RetentionHorizon();
  readonly #deps: SegmentsDeps;
  readonly #context: CallContext;
  readonly #scan: Omit<ProfileScan, "options">;

  constructor(deps: SegmentsDeps, context: CallContext, simulation: RuleSimulation, nowMs: number) {
    this.#deps = deps;
    this.#context = context;
    this.#scan = {
      feed: deps.feed,
      organizationId: context.organizationId,
      simulation,
      horizon: this.horizon,
      begin: (profile) => this.#begin(simulation, profile, nowMs),
    };
  }

  /** Whether all profiles were evaluated in time. */
  async countAll(budgetMs: number | undefined): Promise<boolean> {
    const options = onBehalfOf(this.#context);
    if (budgetMs === undefined) return scanAll({ ...this.#scan, options }, () => false);
    const timeout = new AbortController();
    const done = new AbortController();
    // The timeout aborts a page in progress.
    const ended = AbortSignal.any([done.signal, this.#context.signal]);
    const abortOnTimeout = (): void => timeout.abort();
    this.#deps.clock.sleep(budgetMs, ended).then(abortOnTimeout, abortOnTimeout);
    const signal = AbortSignal.any([timeout.signal, this.#context.signal]);
    try {
      return await scanAll({ ...this.#scan, options: { ...options, signal } }, () => timeout.signal.aborted);
    } catch (error) {
      if (timeout.signal.aborted && !this.#context.signal.aborted) return false;
      throw error;
    } finally {
      done.abort();
    }
  }

  /** Resolves to the total number of profiles. */
  async countSample(seed: number): Promise<number> {
    const scan = { ...this.#scan, options: onBehalfOf(this.#context) };
    const { profileCount, profileIds } = await sampleProfiles(scan, SAMPLE_PROFILES_MAX, seed);
    const { clock } = this.#deps;
    const startMs = clock.monotonicMs();
    await scanSome(scan, profileIds, () => clock.monotonicMs() - startMs > BUDGET_MS);
    return Math.max(profileCount, this.checked);
  }

  #begin(simulation: RuleSimulation, profile: IdentifiedProfile, nowMs: number) {
    const simulated = simulation.begin(profile);
    return {
      record: (event: EngineEvent) => {
        if (event.instant[0] <= nowMs) simulated.record(event, nowMs);
      },
      finish: () => {
        this.checked += 1;
        if (!simulated.evaluate(nowMs).member) return;
        this.members += 1;
        if (this.shown.length < SHOWN_MAX) this.shown.push(profile.id);
      },
    };
  }
}
