// Handles BacktestSegment: counts the entries and exits of the last days by replaying raw events.
import type { BacktestSegmentRequest } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { invalidField } from "@muster/errors";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { ConcurrencyLimit } from "@muster/runtime";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { draftRule, simulationOf } from "../preview/draft-rule.ts";
import type { RuleSimulation } from "../preview/rule-simulation.ts";
import {
  type IdentifiedProfile,
  RetentionHorizon,
  sampleProfiles,
  scanAll,
} from "../preview/scan-profiles.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";
import { findSegment } from "../segments/find-segment.ts";
import { DailyCounts, Replay } from "./replay.ts";

const DAYS_DEFAULT = 30;
/** Most replayed events; they take some tens of seconds. */
const EVENTS_MAX = 1_000_000;

export function backtestSegment(
  deps: SegmentsDeps,
  scanLimit: ConcurrencyLimit,
): MethodHandler<typeof SegmentService.method.backtestSegment> {
  return async (request, context) => {
    const simulation = await requestedSimulation(deps, context, request);
    const dailyCounts = new DailyCounts(deps.clock.nowMs(), request.days === 0 ? DAYS_DEFAULT : request.days);
    const progress = { profiles: 0, events: 0 };
    const horizon = new RetentionHorizon();
    const scan = {
      feed: deps.feed,
      organizationId: context.organizationId,
      simulation,
      options: onBehalfOf(context),
      horizon,
      begin: (profile: IdentifiedProfile) => replayOf(simulation, profile, dailyCounts, progress),
    };
    const isComplete = await scanLimit.run(() => scanAll(scan, () => progress.events > EVENTS_MAX));
    const { profileCount } = isComplete
      ? { profileCount: progress.profiles }
      : await sampleProfiles(scan, 0, 0);
    return {
      days: daysOf(dailyCounts),
      membersBefore: BigInt(dailyCounts.membersBefore),
      exact: isComplete,
      profilesReplayed: BigInt(progress.profiles),
      profileCount: BigInt(profileCount),
      eventsReplayed: BigInt(progress.events),
      ...horizon.completeSince(simulation, dailyCounts.startMs),
    };
  };
}

async function requestedSimulation(
  deps: SegmentsDeps,
  context: CallContext,
  request: BacktestSegmentRequest,
): Promise<RuleSimulation> {
  const { segment: named, rule, eventName, minCount, withinDays } = request;
  const { organizationId } = context;
  if (named === undefined) return (await draftRule(deps, organizationId, request)).simulation;
  if (rule !== undefined || (eventName ?? minCount ?? withinDays) !== undefined) {
    throw invalidField("segment", "cannot be combined with rule, event_name, min_count and within_days");
  }
  const segment = await findSegment(deps, organizationId, named);
  return simulationOf(segment.rule, await listSegmentsOf(deps.database.reader, [organizationId]));
}

function replayOf(
  simulation: RuleSimulation,
  profile: IdentifiedProfile,
  dailyCounts: DailyCounts,
  progress: { profiles: number; events: number },
) {
  const replay = new Replay(simulation, profile, dailyCounts);
  return {
    record(event: EngineEvent): void {
      progress.events += 1;
      replay.record(event);
    },
    finish(): void {
      progress.profiles += 1;
      replay.finish();
    },
  };
}

function daysOf(dailyCounts: DailyCounts) {
  let members = dailyCounts.membersBefore;
  return dailyCounts.days.map(({ entries, exits }, day) => {
    members += entries - exits;
    return {
      date: dailyCounts.dateOf(day),
      entries: BigInt(entries),
      exits: BigInt(exits),
      members: BigInt(members),
    };
  });
}
