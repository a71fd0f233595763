// Counts the profiles that would enter and leave a segment with its pending rule. Reads all profiles from raw
// events, as a backfill does, and writes nothing.

import { ALL_SHARDS, type EvaluationId, type ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { ruleReadsEventsBefore } from "../engine/rule/lookback.ts";
import { segmentsIn } from "../engine/rule/rule.ts";
import { Definitions, type SegmentDefinition } from "../engine/state/definitions.ts";
import { evaluateAll } from "../engine/state/membership.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { NO_PROFILE } from "../profiles/profile-key.ts";
import { scanStates } from "../rebuild/scan-states.ts";
import { definitionsOf } from "../rule-versions/evaluations.ts";
import type { Segment } from "../segment-model/segment.ts";

export interface Difference {
  entering: number;
  leaving: number;
  /** Members according to the rule that serves reads. */
  members: number;
  /**
   * The start of the complete raw events, in milliseconds, if one of the rules looks back further; else
   * undefined.
   */
  completeSinceMs: number | undefined;
}

const PROFILES_AT_ONCE = 1000;
const SHARDS_AT_ONCE = 4;

/**
 * Evaluates both rules over the same events of each profile at the same instant. The counts are exact as of
 * the snapshots of the scans, one for each shard. Stops when the caller cancels.
 */
export async function countDifference(
  deps: SegmentsDeps,
  context: CallContext,
  segments: readonly Segment[],
  edited: Segment,
): Promise<Difference> {
  const servingId = edited.evaluationId;
  const pendingId = edited.pending?.evaluationId ?? servingId;
  const definitions = new Definitions(0, neededFor(definitionsOf(segments), [servingId, pendingId]));
  const nowMs = deps.clock.nowMs();
  const sum: Difference = { entering: 0, leaving: 0, members: 0, completeSinceMs: undefined };
  const countShard = async (shard: number): Promise<void> => {
    for (let after: ProfileId | undefined = NO_PROFILE; after !== undefined; ) {
      if (context.signal.aborted) throw new AppError("CANCELED");
      const request = {
        organizationId: context.organizationId,
        shard,
        profiles: { after, limit: PROFILES_AT_ONCE },
      };
      const scan = await scanStates(deps.feed, request, definitions, nowMs);
      if (reachBehind(definitions, scan.completeSinceMs, nowMs)) {
        sum.completeSinceMs = Math.max(sum.completeSinceMs ?? 0, scan.completeSinceMs);
      }
      for (const state of scan.states.values()) {
        evaluateAll(state, definitions, nowMs);
        const [isMember, wouldBeMember] = [
          state.memberships.has(servingId),
          state.memberships.has(pendingId),
        ];
        if (isMember) sum.members += 1;
        if (!isMember && wouldBeMember) sum.entering += 1;
        if (isMember && !wouldBeMember) sum.leaving += 1;
      }
      after = scan.more ? [...scan.states.keys()].sort().at(-1) : undefined;
    }
  };
  const shards = [...ALL_SHARDS];
  const countNextShards = async (): Promise<void> => {
    for (let shard = shards.shift(); shard !== undefined; shard = shards.shift()) await countShard(shard);
  };
  await Promise.all(Array.from({ length: SHARDS_AT_ONCE }, countNextShards));
  return sum;
}

function reachBehind(definitions: Definitions, completeSinceMs: number, nowMs: number): boolean {
  const rules = [...definitions.segments.values()].map(({ rule }) => rule);
  return rules.some((rule) => ruleReadsEventsBefore(rule, completeSinceMs, nowMs, () => undefined));
}

/** Selects these evaluations and, transitively, the evaluations that their rules reference. */
function neededFor(
  definitions: readonly SegmentDefinition[],
  ids: readonly EvaluationId[],
): SegmentDefinition[] {
  const byId = new Map(definitions.map((definition) => [definition.id, definition]));
  const needed = new Set(ids);
  // Iterating a set also visits elements that are added meanwhile.
  for (const id of needed) {
    const definition = byId.get(id);
    for (const named of definition === undefined ? [] : segmentsIn(definition.rule)) needed.add(named);
  }
  return definitions.filter(({ id }) => needed.has(id));
}
