// Declares the thread task that counts the profiles entering and leaving a segment by a new rule.
import type { EvaluationId } from "@muster/core";
import { threadTask } from "@muster/runtime/threads";
import type { EncodedDefinition } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";

export interface DifferenceInput {
  readonly definitions: readonly EncodedDefinition[];
  readonly servingId: EvaluationId;
  readonly pendingId: EvaluationId;
  readonly nowMs: number;
  readonly unitsMax: number;
}

export interface DifferenceResult {
  readonly entering: number;
  readonly leaving: number;
  /** Members according to the rule that serves reads. */
  readonly members: number;
}

export const COUNT_DIFFERENCE = threadTask<DifferenceInput, ProfileChunk, DifferenceResult>(
  new URL("./difference-thread.ts", import.meta.url),
  "countDifference",
);
