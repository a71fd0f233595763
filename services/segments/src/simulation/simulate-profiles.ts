// Passes the profiles of a thread's chunks to the simulation, one profile after the other.
import { TaskStopped } from "@muster/runtime/threads";
import type { EngineEvent } from "../engine/state/apply-events.ts";
import { type IdentifiedProfile, type ProfileChunk, unpackChunk } from "./profile-chunks.ts";

/** Receives one profile's events in the order in which they happened. */
export interface ProfileSink {
  record(event: EngineEvent): void;
  /** Called after the last event, but not for a profile that the end of the task cuts off. */
  finish(): void;
}

/** Returns false if the pool stopped the task. */
export async function simulateProfiles(
  chunks: AsyncIterable<ProfileChunk>,
  begin: (profile: IdentifiedProfile) => ProfileSink,
): Promise<boolean> {
  const lanes = new Map<number, { readonly id: string; readonly sink: ProfileSink }>();
  try {
    for await (const chunk of chunks) {
      unpackChunk(chunk, (lane, profile, events) => {
        let current = lanes.get(lane);
        if (current !== undefined && current.id !== profile?.id) {
          lanes.delete(lane);
          current.sink.finish();
          current = undefined;
        }
        if (profile === undefined) return;
        if (current === undefined) {
          current = { id: profile.id, sink: begin(profile) };
          lanes.set(lane, current);
        }
        for (const event of events) current.sink.record(event);
      });
    }
    return true;
  } catch (error) {
    if (error instanceof TaskStopped) return false;
    throw error;
  }
}
