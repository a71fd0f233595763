// Applies the events of a profile with a long history, on a thread.
import { serveTask } from "@muster/runtime/threads";
import { recordEvent } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { emptyState } from "../engine/state/profile-state.ts";
import { decodeState, encodeState } from "../engine/state/state-codec.ts";
import { decodeDefinition } from "../simulation/encoded-definitions.ts";
import { unpackChunk } from "../simulation/profile-chunks.ts";
import { REBUILD } from "./rebuild-task.ts";
import { EVENT_UNITS } from "./rebuild-units.ts";

export const rebuild = serveTask(REBUILD, async ({ nowMs, ...input }, chunks, control) => {
  const definitions = new Definitions(0, input.definitions.map(decodeDefinition));
  let state = emptyState();
  for await (const chunk of chunks) {
    if ("state" in chunk) state = decodeState(chunk.state);
    else {
      unpackChunk(chunk, (_lane, _profile, events) => {
        for (const event of events) {
          control.spend(EVENT_UNITS);
          recordEvent(state, definitions, event, nowMs, new Set());
        }
      });
    }
  }
  return encodeState(state);
});
