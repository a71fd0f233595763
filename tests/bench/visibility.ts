// Measures the time from the acknowledgment of an event to the membership in a segment, at half of the
// maximum load.
import { systemClock } from "@muster/core";
import type { RestClient } from "../harness/rest.ts";
import { sendBatch } from "./batches.ts";
import { type Latencies, latencies } from "./measure.ts";

const BATCH = 500;

export async function measureVisibility(
  rest: RestClient,
  run: string,
  options: { readonly eventsPerSecond: number; readonly probes: number },
): Promise<Latencies & { readonly offeredPerSecond: number }> {
  const made = await rest.post("/v1/segments", {
    name: `Probes ${run}`,
    event_name: `probe.${run}`,
    min_count: 1,
  });
  if (made.status !== 201) throw new Error(made.text);
  const path = `/v1/segments/${made.body.id}/profiles?page_size=500`;
  await rest.get(path);
  const background = new Background(rest, run, options.eventsPerSecond);
  const running = background.run();
  await systemClock.sleep(2_000);
  const samples: number[] = [];
  for (let probe = 0; probe < options.probes; probe += 1) {
    const posted = await rest.post("/v1/events", { user_id: `probe-${run}-${probe}`, name: `probe.${run}` });
    const ackedMs = systemClock.monotonicMs();
    const seen = async (): Promise<boolean> => {
      const page = await rest.get(path);
      return (
        page.body.profiles?.some((profile: { id: string }) => profile.id === posted.body.profile_id) === true
      );
    };
    while (!(await seen())) {}
    samples.push(systemClock.monotonicMs() - ackedMs);
  }
  background.stop();
  const offeredPerSecond = await running;
  return { ...latencies(samples), offeredPerSecond };
}

/** Sends batches at a constant rate, independent of earlier responses. */
class Background {
  readonly #rest: RestClient;
  readonly #run: string;
  readonly #everyMs: number;
  #stopped = false;

  constructor(rest: RestClient, run: string, eventsPerSecond: number) {
    this.#rest = rest;
    this.#run = run;
    this.#everyMs = (1000 * BATCH) / eventsPerSecond;
  }

  /** Returns how many events were sent per second. */
  async run(): Promise<number> {
    const startMs = systemClock.monotonicMs();
    const sending = new Set<Promise<unknown>>();
    let batches = 0;
    while (!this.#stopped) {
      const one = sendBatch(this.#rest, `${this.#run}-load`, batches).finally(() => sending.delete(one));
      sending.add(one);
      batches += 1;
      await systemClock.sleep(Math.max(0, startMs + batches * this.#everyMs - systemClock.monotonicMs()));
    }
    const perSecond = Math.round((1000 * batches * BATCH) / (systemClock.monotonicMs() - startMs));
    await Promise.all(sending);
    return perSecond;
  }

  stop(): void {
    this.#stopped = true;
  }
}
