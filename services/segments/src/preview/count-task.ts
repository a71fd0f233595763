// Declares the thread task that counts the profiles matching a rule.
import type { ProfileId } from "@muster/core";
import { threadTask } from "@muster/runtime/threads";
import type { EncodedSimulation } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";

export interface CountInput {
  readonly simulation: EncodedSimulation;
  readonly nowMs: number;
  readonly unitsMax: number;
  /** Most matching profiles that are returned. */
  readonly shownMax: number;
}

export interface CountResult {
  /** Profiles with a known result. */
  readonly checked: number;
  /** Profiles on which a predicate exceeded the budget of an event. */
  readonly unknown: number;
  readonly members: number;
  readonly shown: readonly ProfileId[];
  /** False if the task was stopped; then the counts are those of the profiles before. */
  readonly isComplete: boolean;
}

export const COUNT = threadTask<CountInput, ProfileChunk, CountResult>(
  new URL("./count-thread.ts", import.meta.url),
  "count",
);
