// Declares the thread task that applies the events of a profile with a long history.
import { threadTask } from "@muster/runtime/threads";
import type { EncodedDefinition } from "../simulation/encoded-definitions.ts";
import type { ProfileChunk } from "../simulation/profile-chunks.ts";

export interface RebuildInput {
  readonly definitions: readonly EncodedDefinition[];
  /** Later events wait in the state. */
  readonly nowMs: number;
}

/** First the encoded state with the earlier events of the profile, then chunks with its further events. */
export type RebuildChunk = { readonly state: string } | ProfileChunk;

/** The result is the encoded state. */
export const REBUILD = threadTask<RebuildInput, RebuildChunk, string>(
  new URL("./rebuild-thread.ts", import.meta.url),
  "rebuild",
);
