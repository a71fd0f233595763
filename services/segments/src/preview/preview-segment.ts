// Handles PreviewSegment: counts the profiles that match an unsaved rule, and returns examples. The count covers
// all profiles if that takes at most 300 ms, otherwise a random sample, with an error bound.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PreviewSegmentResponseSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { ProfileId } from "@muster/core";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { ThreadSession } from "@muster/runtime";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { encodeSimulation } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";
import { ProfileSender } from "../simulation/profile-sender.ts";
import type { RuleSimulation } from "../simulation/rule-simulation.ts";
import {
  type ProfileScan,
  RetentionHorizon,
  sampleProfiles,
  scanAll,
  scanSome,
} from "../simulation/scan-profiles.ts";
import { COUNT, type CountResult } from "./count-task.ts";
import { draftRule } from "./draft-rule.ts";
import { estimateCount } from "./wilson.ts";

/** Time limit of the full count, and again of the sample that follows it. */
const BUDGET_MS = 300;
/** Most work of an exact count: about a minute of a thread. */
const UNITS_MAX = 60_000_000;
const SAMPLE_PROFILES_MAX = 5000;
const SHOWN_MAX = 10;

export function previewSegment(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.previewSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const { simulation } = await draftRule(deps, organizationId, request);
    const { shown, ...response } = await countMatches(deps, context, simulation, request.exact);
    const profiles = await deps.feed.profiles(organizationId, shown, onBehalfOf(context));
    return { ...response, sample: shown.flatMap((id) => profiles.get(id) ?? []) };
  };
}

interface PreviewCount
  extends Omit<MessageInitShape<typeof PreviewSegmentResponseSchema>, "sample" | "$typeName"> {
  readonly shown: readonly ProfileId[];
}

async function countMatches(
  deps: SegmentsDeps,
  context: CallContext,
  simulation: RuleSimulation,
  isExactWanted: boolean,
): Promise<PreviewCount> {
  const counter = new MatchCounter(deps, context, simulation);
  const all = await counter.countAll(isExactWanted);
  if (all.isComplete) return counter.response(all, all.checked + all.unknown);
  const scope = { feed: deps.feed, organizationId: context.organizationId, options: onBehalfOf(context) };
  const { profileCount, profileIds } = await sampleProfiles(scope, SAMPLE_PROFILES_MAX, counter.nowMs);
  const sampled = await counter.countSome(profileIds);
  return counter.response(sampled, Math.max(profileCount, sampled.checked + sampled.unknown));
}

/** Counts matches on a thread, as of one instant. */
class MatchCounter {
  readonly nowMs: number;
  readonly #deps: SegmentsDeps;
  readonly #context: CallContext;
  readonly #simulation: RuleSimulation;
  readonly #horizon = new RetentionHorizon();

  constructor(deps: SegmentsDeps, context: CallContext, simulation: RuleSimulation) {
    this.nowMs = deps.clock.nowMs();
    this.#deps = deps;
    this.#context = context;
    this.#simulation = simulation;
  }

  /** Incomplete if the time limit ends the count. */
  countAll(isExactWanted: boolean): Promise<CountResult> {
    return this.#run({ isShort: !isExactWanted }, async (scan, session) => {
      if (!isExactWanted) this.#limitTime(session);
      return scanAll(scan, () => false);
    });
  }

  /** Counts at least a page of profiles, unless the evaluation of the page takes too long. */
  countSome(profileIds: readonly ProfileId[]): Promise<CountResult> {
    return this.#run({ isShort: true }, async (scan, session) => {
      await scanSome(scan, profileIds, async () => {
        await scan.sender.flush();
        await Promise.race([session.idle(), this.#deps.clock.sleep(BUDGET_MS, session.signal)]);
        this.#limitTime(session);
      });
      return true;
    });
  }

  #limitTime(session: ThreadSession<ProfileChunk>): void {
    void this.#deps.clock.sleep(BUDGET_MS, session.signal).then(() => session.stop());
  }

  async #run(
    { isShort }: { readonly isShort: boolean },
    read: (scan: ProfileScan, session: ThreadSession<ProfileChunk>) => Promise<boolean>,
  ): Promise<CountResult> {
    const { feed, threads } = this.#deps;
    const { organizationId, signal } = this.#context;
    const { definitions } = this.#simulation;
    const simulation = encodeSimulation(this.#simulation);
    const input = { simulation, nowMs: this.nowMs, unitsMax: UNITS_MAX, shownMax: SHOWN_MAX };
    let isRead = false;
    const result = await threads.run(COUNT, { organizationId, input, signal, isShort }, async (session) => {
      const options = { ...onBehalfOf(this.#context), signal: session.signal };
      const sender = new ProfileSender(session);
      const scan = { feed, organizationId, definitions, options, horizon: this.#horizon, sender };
      isRead = await read(scan, session);
    });
    return { ...result, isComplete: result.isComplete && isRead };
  }

  response({ checked, members, shown }: CountResult, total: number): PreviewCount {
    const { count, errorBound } = estimateCount(members, checked, total);
    return {
      ...this.#horizon.completeSince(this.#simulation, this.nowMs),
      shown,
      exact: checked >= total,
      errorBound: BigInt(errorBound),
      count: BigInt(count),
      profilesChecked: BigInt(checked),
      profileCount: BigInt(total),
    };
  }
}
