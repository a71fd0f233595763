// Counts the profiles that match a rule, on a thread. Each profile is evaluated at the same instant.
import type { ProfileId } from "@muster/core";
import { serveTask } from "@muster/runtime/threads";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import { decodeSimulation } from "../simulation/encoded-definitions.ts";
import type { IdentifiedProfile } from "../simulation/profile-chunks.ts";
import { simulateProfiles } from "../simulation/simulate-profiles.ts";
import { COUNT } from "./count-task.ts";

export const count = serveTask(COUNT, async ({ nowMs, shownMax, ...input }, chunks, control) => {
  control.limitUnits(input.unitsMax);
  const simulation = decodeSimulation(input.simulation);
  const shown: ProfileId[] = [];
  let checked = 0;
  let members = 0;
  let unknown = 0;
  const isComplete = await simulateProfiles(chunks, (profile: IdentifiedProfile) => {
    control.spend(simulation.leaves);
    const simulated = simulation.begin(profile);
    return {
      record: (event: EngineEvent): void => {
        control.spend(1);
        if (event.instant[0] <= nowMs) simulated.record(event, nowMs);
        control.spend(simulated.takePredicateWork());
      },
      finish: (): void => {
        if (simulated.isUnknown) {
          unknown += 1;
          return;
        }
        const { member } = simulated.evaluate(nowMs);
        checked += 1;
        if (!member) return;
        members += 1;
        if (shown.length < shownMax) shown.push(profile.id);
      },
    };
  });
  return { checked, unknown, members, shown, isComplete };
});
