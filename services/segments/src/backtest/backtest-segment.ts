// Handles BacktestSegment: counts the entries and exits of the last days by replaying raw events on a thread.
import type { BacktestSegmentRequest } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { invalidField } from "@muster/errors";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { draftRule, simulationOf } from "../preview/draft-rule.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";
import { findSegment } from "../segments/find-segment.ts";
import { encodeSimulation } from "../simulation/encoded-definitions.ts";
import { ProfileSender } from "../simulation/profile-sender.ts";
import type { RuleSimulation } from "../simulation/rule-simulation.ts";
import { RetentionHorizon, sampleProfiles, scanAll } from "../simulation/scan-profiles.ts";
import { DailyCounts } from "./daily-counts.ts";
import { REPLAY, type ReplayResult } from "./replay-task.ts";

const DAYS_DEFAULT = 30;
/** Most replayed events; they take some tens of seconds. */
const EVENTS_MAX = 1_000_000;
/** Most work of a replay: about half a minute of a thread. */
const UNITS_MAX = 30_000_000;

export function backtestSegment(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.backtestSegment> {
  return async (request, context) => {
    const simulation = await requestedSimulation(deps, context, request);
    const nowMs = deps.clock.nowMs();
    const days = request.days === 0 ? DAYS_DEFAULT : request.days;
    const horizon = new RetentionHorizon();
    const replayed = await replayAll(deps, context, simulation, { nowMs, days }, horizon);
    const { profileCount } = replayed.isComplete
      ? { profileCount: replayed.profiles }
      : await sampleProfiles(
          { feed: deps.feed, organizationId: context.organizationId, options: onBehalfOf(context) },
          0,
          0,
        );
    return {
      days: daysOf(replayed, new DailyCounts(nowMs, days)),
      membersBefore: BigInt(replayed.membersBefore),
      exact: replayed.isComplete,
      profilesReplayed: BigInt(replayed.profiles),
      profileCount: BigInt(profileCount),
      eventsReplayed: BigInt(replayed.events),
      ...horizon.completeSince(simulation, new DailyCounts(nowMs, days).startMs),
    };
  };
}

/** Replays all profiles on a thread. The result is incomplete beyond EVENTS_MAX or UNITS_MAX. */
async function replayAll(
  deps: SegmentsDeps,
  context: CallContext,
  simulation: RuleSimulation,
  span: { readonly nowMs: number; readonly days: number },
  horizon: RetentionHorizon,
): Promise<ReplayResult> {
  const { organizationId, signal } = context;
  const { definitions } = simulation;
  const input = { simulation: encodeSimulation(simulation), ...span, unitsMax: UNITS_MAX };
  let isRead = false;
  const result = await deps.threads.run(REPLAY, { organizationId, input, signal }, async (session) => {
    const sender = new ProfileSender(session);
    const options = { ...onBehalfOf(context), signal: session.signal };
    const scan = { feed: deps.feed, organizationId, definitions, options, horizon, sender };
    isRead = await scanAll(scan, () => sender.events > EVENTS_MAX);
  });
  return { ...result, isComplete: result.isComplete && isRead };
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

function daysOf(replayed: ReplayResult, dailyCounts: DailyCounts) {
  let members = replayed.membersBefore;
  return replayed.days.map(({ entries, exits }, day) => {
    members += entries - exits;
    return {
      date: dailyCounts.dateOf(day),
      entries: BigInt(entries),
      exits: BigInt(exits),
      members: BigInt(members),
    };
  });
}
