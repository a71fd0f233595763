// Handles EstimateSegmentCost: measures the cost of maintaining a rule on a random sample before the rule is
// saved.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MatcherCostSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { ConcurrencyLimit } from "@muster/runtime";
import { type MatcherUse, matchersOf } from "../engine/rule/rule.ts";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import { isEmptyState } from "../engine/state/profile-state.ts";
import { encodeState } from "../engine/state/state-codec.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { savedRule } from "../rule-versions/evaluations.ts";
import type { Segment } from "../segment-model/segment.ts";
import { draftRule } from "./draft-rule.ts";
import type { RuleSimulation } from "./rule-simulation.ts";
import { type IdentifiedProfile, RetentionHorizon, sampleProfiles, scanSome } from "./scan-profiles.ts";

const SAMPLE_PROFILES = 500;
const DAYS = 7;
const DAY_MS = 86_400_000;

export function estimateSegmentCost(
  deps: SegmentsDeps,
  scanLimit: ConcurrencyLimit,
): MethodHandler<typeof SegmentService.method.estimateSegmentCost> {
  return async (request, context) => {
    const { organizationId } = context;
    const { simulation, segments } = await draftRule(deps, organizationId, request);
    const nowMs = deps.clock.nowMs();
    const costSample = new CostSample(simulation, nowMs);
    const begin = (profile: IdentifiedProfile) => costSample.begin(profile);
    const horizon = new RetentionHorizon();
    const scan = {
      feed: deps.feed,
      organizationId,
      simulation,
      options: onBehalfOf(context),
      horizon,
      begin,
    };
    const profileCount = await scanLimit.run(async () => {
      const sample = await sampleProfiles(scan, SAMPLE_PROFILES, nowMs);
      await scanSome(scan, sample.profileIds, () => false);
      return sample.profileCount;
    });

    const matchers = matcherCosts(simulation, segments);
    const shared = matchers.filter((matcher) => matcher.shared).length;
    const { profiles, bytes, bytesMax, events } = costSample;
    return {
      matchers,
      matchersNew: matchers.length - shared,
      matchersShared: shared,
      instantsPerProfile: BigInt(simulation.definitions.instantsMax),
      bytesPerProfile: bytes / Math.max(1, profiles),
      bytesPerProfileMax: BigInt(bytesMax),
      profilesToBackfill: BigInt(profileCount),
      eventsPerDay: ((events / DAYS) * profileCount) / Math.max(1, profiles),
      profilesSampled: profiles,
      ...horizon.completeSince(simulation, nowMs),
    };
  };
}

/** Measures the state and the counted events of the sample's profiles. */
class CostSample {
  profiles = 0;
  bytes = 0;
  bytesMax = 0;
  /** Counted events of the last DAYS days. */
  events = 0;
  readonly #simulation: RuleSimulation;
  readonly #nowMs: number;

  constructor(simulation: RuleSimulation, nowMs: number) {
    this.#simulation = simulation;
    this.#nowMs = nowMs;
  }

  begin(profile: IdentifiedProfile) {
    const simulated = this.#simulation.begin(profile);
    return {
      record: (event: EngineEvent): void => {
        const [ms] = event.instant;
        if (ms > this.#nowMs) return;
        const isBackfilled = simulated.record(event, this.#nowMs);
        if (isBackfilled && ms > this.#nowMs - DAYS * DAY_MS) this.events += 1;
      },
      finish: (): void => {
        this.profiles += 1;
        const bytes = isEmptyState(simulated.state) ? 0 : Buffer.byteLength(encodeState(simulated.state));
        this.bytes += bytes;
        this.bytesMax = Math.max(this.bytesMax, bytes);
      },
    };
  }
}

function matcherCosts(
  simulation: RuleSimulation,
  segments: readonly Segment[],
): (MessageInitShape<typeof MatcherCostSchema> & { readonly shared: boolean })[] {
  const rules = segments.flatMap((segment) => [segment.rule, savedRule(segment)]);
  const kept = deepest(rules.flatMap(matchersOf));
  return [...deepest(matchersOf(simulation.rule)).values()].map(({ matcher, depth }) => {
    const known = kept.get(matcher.key);
    return {
      ...(matcher.eventName !== undefined && { eventName: matcher.eventName }),
      ...(matcher.where !== undefined && { where: matcher.where.source }),
      shared: known !== undefined,
      instants: depth,
      deeper: known !== undefined && known.depth < depth,
    };
  });
}

/** The most demanding use of each matcher, by the matcher's key. */
function deepest(uses: readonly MatcherUse[]): Map<string, MatcherUse> {
  const byKey = new Map<string, MatcherUse>();
  for (const use of uses) {
    const known = byKey.get(use.matcher.key);
    if (known === undefined || known.depth < use.depth) byKey.set(use.matcher.key, use);
  }
  return byKey;
}
