// Measures the cost of alerts: for events without rules, for events that four rules evaluate, and for a
// deposit of a user with a very long history. The last is compared with the same sum over raw events.
import { randomIds, systemClock, uuidToBytes } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { AlertStep } from "../../../services/events/src/alert-evaluation/alert-step.ts";
import { MonotonicIds } from "../../../services/events/src/profile-storage/monotonic-ids.ts";
import type { RestClient } from "../../harness/rest.ts";
import { latencies, round } from "../measure.ts";
import type { Row } from "../results.ts";
import { measureIngestCost } from "./ingest-cost.ts";
import { timed } from "./raw-events.ts";

export interface AlertSizes {
  readonly rounds: number;
  readonly batches: number;
  /** Single actions of each kind. */
  readonly actions: number;
  /** Deposits of the heavy user within the window of a rule. */
  readonly deposits: number;
}

interface AlertBench {
  readonly rest: RestClient;
  readonly events: Connection;
  readonly organization: Buffer;
}

const BATCH = 500;
const PROFILES = 200;
const HEAVY = 1;
const WINDOW_SECONDS = 30 * 86_400;
const FIRST_USER = 1_000_000;

/** Compares ingest with and without the alert step, for events that no rule evaluates. */
export function measureUnmatched({ rounds, batches }: AlertSizes): Promise<Row[]> {
  const alerts = new AlertStep({ clock: systemClock, ids: new MonotonicIds(randomIds) });
  const mixes = { "without alerts": [], "with alerts, without a matching rule": [alerts] };
  return measureIngestCost(mixes, { rounds, batches, onlyViews: false });
}

export async function measureAlerts(bench: AlertBench, sizes: AlertSizes): Promise<Row[]> {
  const { rest } = bench;
  await createProfiles(rest);
  const rows: Row[] = [];
  for (const name of ["noted", "deposit", "noted", "deposit"]) {
    rows.push(await measureBatches(rest, name, sizes.batches));
  }
  rows.push({ part: "a recorded event, over REST", ...(await timeUnmatched(rest, sizes.actions)) });
  const light = (call: number): Promise<void> => deposit(rest, FIRST_USER + (call % PROFILES), call);
  rows.push({ part: "a deposit with its alerts, over REST", ...(await timed(sizes.actions, light)) });
  rows.push(...(await measureHeavy(bench, sizes)));
  return rows;
}

async function createProfiles(rest: RestClient): Promise<void> {
  const ids = [HEAVY, ...Array.from({ length: PROFILES }, (_, index) => FIRST_USER + index)];
  for (const id of ids) {
    const response = await rest.post("/v1/profiles", { user_id: String(id) });
    if (response.status !== 201) throw new Error(`a profile got ${response.status}: ${response.text}`);
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
        user_id: String(FIRST_USER + (index % PROFILES)),
        name,
        properties: { amount: `${index % 90}.50` },
        timestamp: new Date(atMs + index * 1000).toISOString(),
      })),
    );
  }
  const micros = (1000 * (systemClock.monotonicMs() - startMs)) / (batches * BATCH);
  return { part: `batches of events named ${name}`, "micros an event": round(micros, 1) };
}

async function measureHeavy(bench: AlertBench, { deposits, actions }: AlertSizes): Promise<Row[]> {
  const { rest } = bench;
  const rule = {
    code: 77,
    name: "A month's deposits",
    kind: "window_sum",
    window_seconds: WINDOW_SECONDS,
    event_name: "deposit",
    property: "amount",
    threshold: "999999999",
  };
  const created = await rest.post("/v1/alert-rules", rule);
  if (created.status !== 201) throw new Error(`a rule got ${created.status}: ${created.text}`);
  for (let start = 0; start < deposits; start += BATCH) {
    await postBatch(
      rest,
      Array.from({ length: BATCH }, (_, index) => ({
        user_id: String(HEAVY),
        name: "deposit",
        properties: { amount: "1.25" },
        timestamp: new Date(Math.floor(((start + index) * WINDOW_SECONDS * 1000) / deposits)).toISOString(),
      })),
    );
  }
  const last = (call: number): Promise<void> => deposit(rest, HEAVY, WINDOW_SECONDS - 1 - (call % 1000));
  const { body } = await rest.get(`/v1/profiles?user_id=${HEAVY}`);
  const profile = uuidToBytes(body.profiles[0].id);
  const many = `of a user with ${deposits} deposits in the window`;
  return [
    { part: `a deposit ${many}, over REST`, ...(await timed(actions, last)) },
    {
      part: `the same sum ${many}, from raw events`,
      ...(await timed(Math.ceil(actions / 20), () => rawSum(bench, profile))),
    },
  ];
}

async function rawSum({ events, organization }: AlertBench, profile: Buffer): Promise<unknown> {
  const [rows] = await events.query<RowDataPacket[]>(
    `SELECT SUM(CAST(JSON_VALUE(properties, '$.amount') AS DECIMAL(40, 10))) AS total FROM tracked_events
     WHERE organization_id = ? AND profile_id = ? AND occurred_ms BETWEEN 0 AND ? AND name = 'deposit'`,
    [organization, profile, WINDOW_SECONDS * 1000],
  );
  return rows[0]?.total;
}

async function timeUnmatched(rest: RestClient, count: number): Promise<object> {
  const samples: number[] = [];
  for (let call = 0; call < count; call += 1) {
    const startMs = systemClock.monotonicMs();
    const event = { user_id: String(FIRST_USER + (call % PROFILES)), name: "noted" };
    const response = await rest.post("/v1/events", event);
    samples.push(systemClock.monotonicMs() - startMs);
    if (response.status !== 201) throw new Error(`an event got ${response.status}: ${response.text}`);
  }
  return latencies(samples);
}

async function deposit(rest: RestClient, user_id: number, time: number): Promise<void> {
  const response = await rest.post("/api/events", { type: "deposit", amount: "1.25", user_id, time });
  if (response.status !== 200) throw new Error(`a deposit got ${response.status}: ${response.text}`);
}

/** Retries as long as the server is busy. */
async function postBatch(rest: RestClient, events: readonly object[]): Promise<void> {
  for (;;) {
    const response = await rest.post("/v1/events:batch", { events });
    if (response.status === 200) return;
    if (response.status !== 429) throw new Error(`a batch got ${response.status}: ${response.text}`);
    await systemClock.sleep(1000 * Number(response.headers.get("retry-after") ?? 1));
  }
}
