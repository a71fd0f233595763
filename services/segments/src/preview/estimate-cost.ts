// Handles EstimateSegmentCost: measures the cost of maintaining a rule on a random sample before the rule is
// saved.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MatcherCostSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type MethodHandler, onBehalfOf } from "@muster/rpc";
import { type MatcherUse, matchersOf } from "../engine/rule/rule.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { savedRule } from "../rule-versions/evaluations.ts";
import type { Segment } from "../segment-model/segment.ts";
import { encodeSimulation } from "../simulation/encoded-definitions.ts";
import { ProfileSender } from "../simulation/profile-sender.ts";
import type { RuleSimulation } from "../simulation/rule-simulation.ts";
import { RetentionHorizon, sampleProfiles, scanSome } from "../simulation/scan-profiles.ts";
import { MEASURE_COST } from "./cost-task.ts";
import { draftRule } from "./draft-rule.ts";

const SAMPLE_PROFILES = 500;
const DAYS = 7;
const DAY_MS = 86_400_000;
/** Most work of the measurement: about two seconds of a thread. A sample that takes longer is smaller. */
const UNITS_MAX = 2_000_000;

export function estimateSegmentCost(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.estimateSegmentCost> {
  return async (request, context) => {
    const { organizationId, signal } = context;
    const { simulation, segments } = await draftRule(deps, organizationId, request);
    const { definitions } = simulation;
    const nowMs = deps.clock.nowMs();
    const horizon = new RetentionHorizon();
    const scope = { feed: deps.feed, organizationId, options: onBehalfOf(context) };
    const { profileCount, profileIds } = await sampleProfiles(scope, SAMPLE_PROFILES, nowMs);
    const input = {
      simulation: encodeSimulation(simulation),
      nowMs,
      countFromMs: nowMs - DAYS * DAY_MS,
      unitsMax: UNITS_MAX,
    };
    const run = { organizationId, input, signal, isShort: true };
    const sample = await deps.threads.run(MEASURE_COST, run, async (session) => {
      const options = { ...scope.options, signal: session.signal };
      await scanSome(
        { ...scope, options, definitions, horizon, sender: new ProfileSender(session) },
        profileIds,
      );
    });

    const matchers = matcherCosts(simulation, segments);
    const shared = matchers.filter((matcher) => matcher.shared).length;
    const { profiles, bytes, bytesMax, events } = sample;
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
