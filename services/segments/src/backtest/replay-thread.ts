// Replays profiles on a thread.
import { AppError } from "@muster/errors";
import { serveTask } from "@muster/runtime/threads";
import { decodeSimulation } from "../simulation/encoded-definitions.ts";
import { simulateProfiles } from "../simulation/simulate-profiles.ts";
import { DailyCounts } from "./daily-counts.ts";
import { Replay } from "./replay.ts";
import { REPLAY } from "./replay-task.ts";

export const replay = serveTask(REPLAY, async (input, chunks, control) => {
  control.limitUnits(input.unitsMax);
  const simulation = decodeSimulation(input.simulation);
  const dailyCounts = new DailyCounts(input.nowMs, input.days);
  let profiles = 0;
  let events = 0;
  let unknown = 0;
  const begin = (profile: ConstructorParameters<typeof Replay>[1]) => {
    const one = new Replay(simulation, profile, dailyCounts, control);
    return {
      record(event: Parameters<Replay["record"]>[0]): void {
        one.record(event);
        events += 1;
      },
      finish(): void {
        if (one.finish()) profiles += 1;
        else unknown += 1;
      },
    };
  };
  const replayed = await simulateProfiles(chunks, begin).catch((error: unknown) => {
    // The profiles before the limit are a result.
    if (error instanceof AppError && error.reason === "WORK_LIMIT_REACHED" && profiles > 0) return false;
    throw error;
  });
  const { days, membersBefore } = dailyCounts;
  return { days, membersBefore, profiles, events, isComplete: replayed && unknown === 0 };
});
