// Counts the profiles that would enter and leave a segment with its pending rule. Reads all profiles from raw
// events, as a backfill does, evaluates them on a thread, and writes nothing.

import type { EvaluationId } from "@muster/core";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import { segmentsIn } from "../engine/rule/rule.ts";
import { Definitions, type SegmentDefinition } from "../engine/state/definitions.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { definitionsOf } from "../rule-versions/evaluations.ts";
import type { Segment } from "../segment-model/segment.ts";
import { encodeDefinition } from "../simulation/encoded-definitions.ts";
import { ProfileSender } from "../simulation/profile-sender.ts";
import { RetentionHorizon, scanAll } from "../simulation/scan-profiles.ts";
import { COUNT_DIFFERENCE, type DifferenceResult } from "./difference-task.ts";

export interface Difference extends DifferenceResult {
  /**
   * The start of the complete raw events, in milliseconds, if one of the rules looks back further; else
   * undefined.
   */
  readonly completeSinceMs: number | undefined;
}

/** Most work of a count: about a minute of a thread. Without the whole count there is no result. */
const UNITS_MAX = 60_000_000;

/**
 * Evaluates both rules over the same events of each profile at the same instant. The counts are exact as of
 * the snapshots of the scans, one for each shard. Stops when the caller cancels; rejects with
 * WORK_LIMIT_REACHED beyond UNITS_MAX.
 */
export async function countDifference(
  deps: SegmentsDeps,
  context: CallContext,
  segments: readonly Segment[],
  edited: Segment,
): Promise<Difference> {
  const { organizationId, signal } = context;
  const servingId = edited.evaluationId;
  const pendingId = edited.pending?.evaluationId ?? servingId;
  const needed = neededFor(definitionsOf(segments), [servingId, pendingId]);
  const definitions = new Definitions(0, needed);
  const nowMs = deps.clock.nowMs();
  const horizon = new RetentionHorizon();
  const input = {
    definitions: needed.map(encodeDefinition),
    servingId,
    pendingId,
    nowMs,
    unitsMax: UNITS_MAX,
  };
  const counted = await deps.threads.run(
    COUNT_DIFFERENCE,
    { organizationId, input, signal },
    async (session) => {
      const sender = new ProfileSender(session);
      const options = { ...onBehalfOf(context), signal: session.signal };
      await scanAll({ feed: deps.feed, organizationId, definitions, options, horizon, sender }, () => false);
    },
  );
  const rules = needed.map(({ rule }) => rule);
  return { ...counted, completeSinceMs: horizon.completeSinceMs(rules, nowMs, () => undefined) };
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
