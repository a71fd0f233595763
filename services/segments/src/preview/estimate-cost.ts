// Handles EstimateSegmentCost: measures the cost of maintaining a rule on a random sample before the rule is
// saved.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MatcherCostSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";
import { type EngineEvent, isEmptyState } from "../engine/profile-state.ts";
import { type MatcherUse, matchersOf } from "../engine/rule.ts";
import { encodeState } from "../engine/state-codec.ts";
import { savedRule } from "../segments/evaluations.ts";
import type { Segment } from "../segments/segment.ts";
import { draftRule } from "./draft-rule.ts";
import { Horizon, type IdentifiedProfile, sampleProfiles, scanSome } from "./scan-profiles.ts";
import type { ScanTurns } from "./scan-turns.ts";
import type { Trial } from "./trial.ts";

const SAMPLE_PROFILES = 500;
const DAYS = 7;
const DAY_MS = 86_400_000;

export function estimateSegmentCost(
  deps: SegmentsDeps,
  turns: ScanTurns,
): MethodHandler<typeof SegmentService.method.estimateSegmentCost> {
  return async (request, context) => {
    const { organizationId } = context;
    const { trial, segments } = await draftRule(deps, organizationId, request);
    const nowMs = deps.clock.nowMs();
    const measures = new Measures(trial, nowMs);
    const begin = (profile: IdentifiedProfile) => measures.begin(profile);
    const horizon = new Horizon();
    const scan = { feed: deps.feed, organizationId, trial, options: onBehalfOf(context), horizon, begin };
    const profileCount = await turns.take(async () => {
      const sample = await sampleProfiles(scan, SAMPLE_PROFILES, nowMs);
      await scanSome(scan, sample.profileIds, () => false);
      return sample.profileCount;
    });

    const matchers = matcherCosts(trial, segments);
    const shared = matchers.filter((matcher) => matcher.shared).length;
    const { profiles, bytes, bytesMax, events } = measures;
    return {
      matchers,
      matchersNew: matchers.length - shared,
      matchersShared: shared,
      instantsPerProfile: BigInt(trial.definitions.instantsMax),
      bytesPerProfile: bytes / Math.max(1, profiles),
      bytesPerProfileMax: BigInt(bytesMax),
      profilesToBackfill: BigInt(profileCount),
      eventsPerDay: ((events / DAYS) * profileCount) / Math.max(1, profiles),
      profilesSampled: profiles,
      ...horizon.completeSince(trial, nowMs),
    };
  };
}

/** Measures the state and the counted events of the sample's profiles. */
class Measures {
  profiles = 0;
  bytes = 0;
  bytesMax = 0;
  /** Counted events of the last DAYS days. */
  events = 0;
  readonly #trial: Trial;
  readonly #nowMs: number;

  constructor(trial: Trial, nowMs: number) {
    this.#trial = trial;
    this.#nowMs = nowMs;
  }

  begin(profile: IdentifiedProfile) {
    const tried = this.#trial.begin(profile);
    return {
      note: (event: EngineEvent): void => {
        const [ms] = event.instant;
        if (ms > this.#nowMs) return;
        const isCounted = tried.note(event, this.#nowMs);
        if (isCounted && ms > this.#nowMs - DAYS * DAY_MS) this.events += 1;
      },
      finish: (): void => {
        this.profiles += 1;
        const bytes = isEmptyState(tried.state) ? 0 : Buffer.byteLength(encodeState(tried.state));
        this.bytes += bytes;
        this.bytesMax = Math.max(this.bytesMax, bytes);
      },
    };
  }
}

function matcherCosts(
  trial: Trial,
  segments: readonly Segment[],
): (MessageInitShape<typeof MatcherCostSchema> & { readonly shared: boolean })[] {
  const rules = segments.flatMap((segment) => [segment.rule, savedRule(segment)]);
  const kept = deepest(rules.flatMap(matchersOf));
  return [...deepest(matchersOf(trial.rule)).values()].map(({ matcher, depth }) => {
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
