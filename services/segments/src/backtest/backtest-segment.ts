// Handles BacktestSegment: counts the entries and exits of the last days by replaying raw events.

import type { BacktestSegmentRequest } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { invalidField } from "@muster/errors";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";
import type { EngineEvent } from "../engine/profile-state.ts";
import { draftRule } from "../preview/draft-rule.ts";
import { Horizon, type IdentifiedProfile, sampleProfiles, scanAll } from "../preview/scan-profiles.ts";
import type { ScanTurns } from "../preview/scan-turns.ts";
import { Trial } from "../preview/trial.ts";
import { findSegment } from "../segments/find-segment.ts";
import { listSegmentsOf } from "../segments/segment-store.ts";
import { Replay, Tallies } from "./replay.ts";

const DAYS_DEFAULT = 30;
/** Most replayed events; they take some tens of seconds. */
const EVENTS_MAX = 1_000_000;

export function backtestSegment(
  deps: SegmentsDeps,
  turns: ScanTurns,
): MethodHandler<typeof SegmentService.method.backtestSegment> {
  return async (request, context) => {
    const trial = await trialOf(deps, context, request);
    const tallies = new Tallies(deps.clock.nowMs(), request.days === 0 ? DAYS_DEFAULT : request.days);
    const progress = { profiles: 0, events: 0 };
    const horizon = new Horizon();
    const scan = {
      feed: deps.feed,
      organizationId: context.organizationId,
      trial,
      options: onBehalfOf(context),
      horizon,
      begin: (profile: IdentifiedProfile) => replayOf(trial, profile, tallies, progress),
    };
    const isComplete = await turns.take(() => scanAll(scan, () => progress.events > EVENTS_MAX));
    const { profileCount } = isComplete
      ? { profileCount: progress.profiles }
      : await sampleProfiles(scan, 0, 0);
    return {
      days: daysOf(tallies),
      membersBefore: BigInt(tallies.membersBefore),
      exact: isComplete,
      profilesReplayed: BigInt(progress.profiles),
      profileCount: BigInt(profileCount),
      eventsReplayed: BigInt(progress.events),
      ...horizon.completeSince(trial, tallies.startMs),
    };
  };
}

async function trialOf(
  deps: SegmentsDeps,
  context: CallContext,
  request: BacktestSegmentRequest,
): Promise<Trial> {
  const { segment: named, rule, eventName, minCount, withinDays } = request;
  const { organizationId } = context;
  if (named === undefined) return (await draftRule(deps, organizationId, request)).trial;
  if (rule !== undefined || (eventName ?? minCount ?? withinDays) !== undefined) {
    throw invalidField("segment", "cannot be combined with rule, event_name, min_count and within_days");
  }
  const segment = await findSegment(deps, organizationId, named);
  return new Trial(segment.rule, await listSegmentsOf(deps.database.reader, [organizationId]));
}

function replayOf(
  trial: Trial,
  profile: IdentifiedProfile,
  tallies: Tallies,
  progress: { profiles: number; events: number },
) {
  const replay = new Replay(trial, profile, tallies);
  return {
    note(event: EngineEvent): void {
      progress.events += 1;
      replay.note(event);
    },
    finish(): void {
      progress.profiles += 1;
      replay.finish();
    },
  };
}

function daysOf(tallies: Tallies) {
  let members = tallies.membersBefore;
  return tallies.days.map(({ entries, exits }, day) => {
    members += entries - exits;
    return {
      date: tallies.dateOf(day),
      entries: BigInt(entries),
      exits: BigInt(exits),
      members: BigInt(members),
    };
  });
}
