// Declares the thread task that replays profiles.
import { threadTask } from "@muster/runtime/threads";
import type { EncodedSimulation } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";
import type { DayCounts } from "./daily-counts.ts";

export interface ReplayInput {
  readonly simulation: EncodedSimulation;
  readonly nowMs: number;
  readonly days: number;
  readonly unitsMax: number;
}

export interface ReplayResult {
  readonly days: readonly DayCounts[];
  readonly membersBefore: number;
  readonly profiles: number;
  readonly events: number;
  /**
   * False if the units were spent, or if predicates exceeded the budget of an event. Then the counts leave out
   * the other profiles.
   */
  readonly isComplete: boolean;
}

export const REPLAY = threadTask<ReplayInput, ProfileChunk, ReplayResult>(
  new URL("./replay-thread.ts", import.meta.url),
  "replay",
);
