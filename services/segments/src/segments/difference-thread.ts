// Evaluates two rules over the same events of each profile at the same instant, on a thread.
import { serveTask } from "@muster/runtime/threads";
import { leavesOf } from "../engine/rule/rule.ts";
import { type EngineEvent, recordEvent, recordProfile } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { evaluateAll } from "../engine/state/membership.ts";
import { emptyState } from "../engine/state/profile-state.ts";
import { decodeDefinition } from "../simulation/encoded-definitions.ts";
import type { IdentifiedProfile } from "../simulation/profile-chunks.ts";
import { simulateProfiles } from "../simulation/simulate-profiles.ts";
import { COUNT_DIFFERENCE } from "./difference-task.ts";

export const countDifference = serveTask(COUNT_DIFFERENCE, async (input, chunks, control) => {
  control.limitUnits(input.unitsMax);
  const { servingId, pendingId, nowMs } = input;
  const definitions = new Definitions(0, input.definitions.map(decodeDefinition));
  const leaves = [...definitions.segments.values()].flatMap(({ rule }) => leavesOf(rule)).length;
  let [entering, leaving, members] = [0, 0, 0];
  await simulateProfiles(chunks, (profile: IdentifiedProfile) => {
    control.spend(leaves);
    const state = emptyState();
    recordProfile(state, definitions, profile, new Set());
    return {
      record: (event: EngineEvent): void => {
        control.spend(1);
        recordEvent(state, definitions, event, nowMs, new Set());
      },
      finish: (): void => {
        evaluateAll(state, definitions, nowMs);
        const isMember = state.memberships.has(servingId);
        const wouldBeMember = state.memberships.has(pendingId);
        if (isMember) members += 1;
        if (!isMember && wouldBeMember) entering += 1;
        if (isMember && !wouldBeMember) leaving += 1;
      },
    };
  });
  return { entering, leaving, members };
});
