// Measures the cost of alerts: for events without rules, for events that four rules evaluate, and for a
// deposit of a user with a very long history. The last is compared with the same sum over raw events.
import { randomIds, systemClock, uuidToBytes } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { AlertStep } from "../../../services/events/src/alerts/alert-step.ts";
import { RisingIds } from "../../../services/events/src/profiles/profile-ids.ts";
import type { RestClient } from "../../harness/rest.ts";
import { latencies, round } from "../measure.ts";
import type { Row } from "../results.ts";
import { measureIngestCost } from "./ingest-cost.ts";
import { timed } from "./raw-way.ts";

export interface AlertSizes {
  readonly rounds: number;
  readonly batches: number;
  /** Single actions of each kind. */
  readonly actions: number;
  /** Deposits of the heavy user within the window of a rule. */
  readonly deposits: number;
}

interface Place {
  readonly rest: RestClient;
  readonly events: Connection;
  readonly organization: Buffer;
}

const BATCH = 500;
const PEOPLE = 200;
const HEAVY = 1;
const WINDOW_SECONDS = 30 * 86_400;
const FIRST_USER = 1_000_000;

/** Compares ingest with and without the alert step, for events that no rule evaluates. */
export function measureUnlooked({ rounds, batches }: AlertSizes): Promise<Row[]> {
  const alerts = new AlertStep({ clock: systemClock, ids: new RisingIds(randomIds) });
  const mixes = { "without alerts": [], "with alerts, of which no rule looks at the events": [alerts] };
  return measureIngestCost(mixes, { rounds, batches, onlyViews: false });
}

export async function measureAlerts(place: Place, sizes: AlertSizes): Promise<Row[]> {
  const { rest } = place;
  await createPeople(rest);
  const rows: Row[] = [];
  for (const name of ["noted", "deposit", "noted", "deposit"]) {
    rows.push(await measureBatches(rest, name, sizes.batches));
  }
  rows.push({ part: "a recorded event, over REST", ...(await timeNoted(rest, sizes.actions)) });
  const light = (call: number): Promise<void> => deposit(rest, FIRST_USER + (call % PEOPLE), call);
  rows.push({ part: "a deposit with its alerts, over REST", ...(await timed(sizes.actions, light)) });
  rows.push(...(await measureHeavy(place, sizes)));
  return rows;
}

async function createPeople(rest: RestClient): Promise<void> {
  const ids = [HEAVY, ...Array.from({ length: PEOPLE }, (_, index) => FIRST_USER + index)];
  for (const id of ids) {
    const answer = await rest.post("/v1/profiles", { user_id: String(id) });
    if (answer.status !== 201) throw new Error(`a profile was answered ${answer.status}: ${answer.text}`);
  }
}

/** Sends batches of events with a name that rules evaluate, or another name. */
async function measureBatches(rest: RestClient, name: string, batches: number): Promise<Row> {
  const startMs = systemClock.monotonicMs();
  for (let batch = 0; batch < batches; batch += 1) {
    const atMs = Date.UTC(2025, 0, 1) + batch * BATCH * 1000;
    await postBatch(
      rest,
      Array.from({ length: BATCH }, (_, index) => ({
        user_id: String(FIRST_USER + (index % PEOPLE)),
        ...{ name, properties: { amount: `${index % 90}.50` } },
        timestamp: new Date(atMs + index * 1000).toISOString(),
      })),
    );
  }
  const micros = (1000 * (systemClock.monotonicMs() - startMs)) / (batches * BATCH);
  return { part: `batches of events named ${name}`, "micros an event": round(micros, 1) };
}

async function measureHeavy(place: Place, { deposits, actions }: AlertSizes): Promise<Row[]> {
  const { rest } = place;
  const rule = {
    ...{ code: 77, name: "A month's deposits", kind: "window_sum", window_seconds: WINDOW_SECONDS },
    ...{ event_name: "deposit", property: "amount", threshold: "999999999" },
  };
  const created = await rest.post("/v1/alert-rules", rule);
  if (created.status !== 201) throw new Error(`a rule was answered ${created.status}: ${created.text}`);
  for (let start = 0; start < deposits; start += BATCH) {
    await postBatch(
      rest,
      Array.from({ length: BATCH }, (_, index) => ({
        ...{ user_id: String(HEAVY), name: "deposit", properties: { amount: "1.25" } },
        timestamp: new Date(Math.floor(((start + index) * WINDOW_SECONDS * 1000) / deposits)).toISOString(),
      })),
    );
  }
  const last = (call: number): Promise<void> => deposit(rest, HEAVY, WINDOW_SECONDS - 1 - (call % 1000));
  const { body } = await rest.get(`/v1/profiles?user_id=${HEAVY}`);
  const profile = uuidToBytes(body.profiles[0].id);
  const many = `of one who made ${deposits} within the window`;
  return [
    { part: `a deposit ${many}, over REST`, ...(await timed(actions, last)) },
    {
      part: `the same sum ${many}, from raw events`,
      ...(await timed(Math.ceil(actions / 20), () => rawSum(place, profile))),
    },
  ];
}

async function rawSum({ events, organization }: Place, profile: Buffer): Promise<unknown> {
  const [rows] = await events.query<RowDataPacket[]>(
    `SELECT SUM(CAST(JSON_VALUE(properties, '$.amount') AS DECIMAL(40, 10))) AS total FROM tracked_events
     WHERE organization_id = ? AND profile_id = ? AND occurred_ms BETWEEN 0 AND ? AND name = 'deposit'`,
    [organization, profile, WINDOW_SECONDS * 1000],
  );
  return rows[0]?.total;
}

async function timeNoted(rest: RestClient, count: number): Promise<object> {
  const samples: number[] = [];
  for (let call = 0; call < count; call += 1) {
    const startMs = systemClock.monotonicMs();
    const event = { user_id: String(FIRST_USER + (call % PEOPLE)), name: "noted" };
    const answer = await rest.post("/v1/events", event);
    samples.push(systemClock.monotonicMs() - startMs);
    if (answer.status !== 201) throw new Error(`an event was answered ${answer.status}: ${answer.text}`);
  }
  return latencies(samples);
}

async function deposit(rest: RestClient, user_id: number, time: number): Promise<void> {
  const answer = await rest.post("/api/events", { type: "deposit", amount: "1.25", user_id, time });
  if (answer.status !== 200) throw new Error(`a deposit was answered ${answer.status}: ${answer.text}`);
}

/** Retries as long as the server is busy. */
async function postBatch(rest: RestClient, events: readonly object[]): Promise<void> {
  for (;;) {
    const answer = await rest.post("/v1/events:batch", { events });
    if (answer.status === 200) return;
    if (answer.status !== 429) throw new Error(`a batch was answered ${answer.status}: ${answer.text}`);
    await systemClock.sleep(1000 * Number(answer.headers.get("retry-after") ?? 1));
  }
}
