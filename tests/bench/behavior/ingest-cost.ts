// Measures the cost of the read models per event. The same batches go through two otherwise identical ingest
// queues in turns, each with a separate database on the same server. Processor time covers this process only;
// the share of the server shows in the elapsed time.
import { EmbeddedBus } from "@muster/bus/embedded";
import { type OrganizationId, randomIds, systemClock, uuidV7 } from "@muster/core";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { Outbox } from "@muster/outbox";
import { openTestDatabase, type TestDatabase } from "@muster/testkit";
import { ReadModelStep } from "../../../services/events/src/behavior/read-model-step.ts";
import { ErasedLookup } from "../../../services/events/src/erased-events/erased-lookup.ts";
import { EventHasher } from "../../../services/events/src/erased-events/event-hash.ts";
import { IngestQueue } from "../../../services/events/src/ingest/ingest-queue.ts";
import type { IngestStep } from "../../../services/events/src/ingest/ingest-step.ts";
import { createSubmission, type SubmittedEvent } from "../../../services/events/src/ingest/submission.ts";
import { eventsModule } from "../../../services/events/src/module.ts";
import { benchEvent } from "../events.ts";
import { round } from "../measure.ts";
import type { Row } from "../results.ts";

const BATCH = 500;
/** Parallel submissions; a transaction takes four. */
const LANES = 8;

export interface Cost {
  readonly microsPerEvent: number;
  readonly cpuMicrosPerEvent: number;
}

/** Returns a row for each list of steps, with the additional cost compared to the first list. */
export async function measureIngestCost(
  mixes: Readonly<Record<string, readonly IngestStep[]>>,
  options: { readonly rounds: number; readonly batches: number; readonly onlyViews: boolean },
): Promise<Row[]> {
  const setups: IngestSetup[] = [];
  try {
    for (const [name, steps] of Object.entries(mixes)) setups.push(await openSetup(name, steps));
    for (let turn = -1; turn < options.rounds; turn += 1) {
      for (const setup of setups) {
        const cost = await submitBatches(setup, options);
        // The first turn fills caches and prepares statements.
        if (turn >= 0) setup.costs.push(cost);
      }
    }
    return rowsOf(setups, options.onlyViews ? "page views alone" : "a third page views");
  } finally {
    for (const setup of setups) await setup.database.close();
  }
}

export const mixes = { "without read models": [], "with read models": [new ReadModelStep(randomIds)] };

interface IngestSetup {
  readonly name: string;
  readonly database: TestDatabase;
  readonly queue: IngestQueue;
  readonly costs: Cost[];
  sent: number;
}

async function openSetup(name: string, steps: readonly IngestStep[]): Promise<IngestSetup> {
  const database = await openTestDatabase("mysql", eventsModule.migrations);
  const log = createLogger({ level: "silent" });
  const common = { clock: systemClock, log, metrics: new Metrics(), database: database.database };
  const bus = new EmbeddedBus(common);
  const outbox = new Outbox({ ...common, bus, ids: randomIds, service: "events", instanceId: name });
  const erased = new ErasedLookup(new EventHasher(new Uint8Array(32)));
  const queue = new IngestQueue({
    ...common,
    profileIds: randomIds,
    outbox,
    steps,
    erased,
    backlogItemsMax: Number.MAX_SAFE_INTEGER,
  });
  return { name, database, queue, costs: [], sent: 0 };
}

const organizationId = randomIds.next<OrganizationId>(0);

async function submitBatches(
  setup: IngestSetup,
  { batches, onlyViews }: { readonly batches: number; readonly onlyViews: boolean },
): Promise<Cost> {
  const submissions = Array.from({ length: batches }, (_, batch) =>
    createSubmission(
      organizationId,
      Array.from({ length: BATCH }, (_event, index) =>
        toEvent(setup.sent + batch * BATCH + index, onlyViews),
      ),
      { traceParent: "" },
    ),
  );
  setup.sent += batches * BATCH;
  const startMs = systemClock.monotonicMs();
  const startCpu = process.cpuUsage();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let own = submissions[next++]; own !== undefined; own = submissions[next++]) {
      await setup.queue.submit(own, "batch");
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const cpu = process.cpuUsage(startCpu);
  const events = batches * BATCH;
  return {
    microsPerEvent: (1000 * (systemClock.monotonicMs() - startMs)) / events,
    cpuMicrosPerEvent: (cpu.user + cpu.system) / events,
  };
}

function toEvent(n: number, onlyViews: boolean): SubmittedEvent {
  const { user_id, name, timestamp, properties } = benchEvent("cost", n);
  const occurredMs = Date.parse(timestamp);
  const text = JSON.stringify({ ...properties, name: `Page ${n % 40}` });
  return {
    identityKind: "user_id",
    identity: user_id,
    name: onlyViews ? "page.viewed" : name,
    properties: text,
    occurredMs,
    receivedMs: occurredMs,
    clientEventId: undefined,
    repeatedBy: undefined,
    id: uuidV7(occurredMs, Buffer.from(randomIds.next(0).replaceAll("-", ""), "hex")) as SubmittedEvent["id"],
    bytes: text.length + 200,
  };
}

function rowsOf(setups: readonly IngestSetup[], what: string): Row[] {
  const medians = setups.map(({ costs }) => ({
    microsPerEvent: median(costs.map(({ microsPerEvent }) => microsPerEvent)),
    cpuMicrosPerEvent: median(costs.map(({ cpuMicrosPerEvent }) => cpuMicrosPerEvent)),
  }));
  return setups.map(({ name }, index) => {
    const own = medians[index] ?? { microsPerEvent: 0, cpuMicrosPerEvent: 0 };
    const first = medians[0] ?? own;
    return {
      part: `ingest ${name}, ${what}`,
      events_per_s: Math.round(1_000_000 / own.microsPerEvent),
      us_per_event: round(own.microsPerEvent),
      node_cpu_us_per_event: round(own.cpuMicrosPerEvent),
      us_more: round(own.microsPerEvent - first.microsPerEvent),
      node_cpu_us_more: round(own.cpuMicrosPerEvent - first.cpuMicrosPerEvent),
    };
  });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
