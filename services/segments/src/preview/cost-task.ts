// Declares the thread task that measures what a rule keeps of profiles.
import { threadTask } from "@muster/runtime/threads";
import type { EncodedSimulation } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";

export interface CostInput {
  readonly simulation: EncodedSimulation;
  readonly nowMs: number;
  /** Events after this instant are counted. */
  readonly countFromMs: number;
  readonly unitsMax: number;
}

export interface CostResult {
  readonly profiles: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly events: number;
}

export const MEASURE_COST = threadTask<CostInput, ProfileChunk, CostResult>(
  new URL("./cost-thread.ts", import.meta.url),
  "measureCost",
);
