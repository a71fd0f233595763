// Measures the state and the counted events of profiles under a rule, on a thread.
import { AppError } from "@muster/errors";
import { serveTask } from "@muster/runtime/threads";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import { isEmptyState } from "../engine/state/profile-state.ts";
import { encodeState } from "../engine/state/state-codec.ts";
import { decodeSimulation } from "../simulation/encoded-definitions.ts";
import type { IdentifiedProfile } from "../simulation/profile-chunks.ts";
import { simulateProfiles } from "../simulation/simulate-profiles.ts";
import { MEASURE_COST } from "./cost-task.ts";

export const measureCost = serveTask(
  MEASURE_COST,
  async ({ nowMs, countFromMs, ...input }, chunks, control) => {
    control.limitUnits(input.unitsMax);
    const simulation = decodeSimulation(input.simulation);
    let [profiles, bytes, bytesMax, events] = [0, 0, 0, 0];
    const begin = (profile: IdentifiedProfile) => {
      const simulated = simulation.begin(profile);
      let counted = 0;
      return {
        record: (event: EngineEvent): void => {
          control.spend(1);
          const [ms] = event.instant;
          if (ms > nowMs) return;
          const isBackfilled = simulated.record(event, nowMs);
          if (isBackfilled && ms > countFromMs) counted += 1;
        },
        finish: (): void => {
          const { state } = simulated;
          const own = isEmptyState(state) ? 0 : Buffer.byteLength(encodeState(state));
          profiles += 1;
          events += counted;
          bytes += own;
          bytesMax = Math.max(bytesMax, own);
        },
      };
    };
    await simulateProfiles(chunks, begin).catch((error: unknown) => {
      // The profiles before the limit are a smaller sample.
      if (error instanceof AppError && error.reason === "WORK_LIMIT_REACHED" && profiles > 0) return;
      throw error;
    });
    return { profiles, bytes, bytesMax, events };
  },
);
