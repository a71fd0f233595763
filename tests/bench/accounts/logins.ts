// Measures logins: the rate beside bare argon2, a burst, and the times of refused logins.
import { availableParallelism } from "node:os";
import { systemClock } from "@muster/core";
import { Passwords } from "../../../services/identity/src/passwords/passwords.ts";
import type { Installation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { latencies, residentMiB, round, runFor } from "../measure.ts";
import type { Row } from "../results.ts";
import { type Accounts, PASSWORD } from "./accounts.ts";

const ROUNDS = 3;
const LANES = 4;
const BURST = 100;
const BURST_MEMORY_MIB_MAX = 200;
const BURST_READ_MS_MAX = 100;
const BURST_REFUSAL_MS_MAX = 2_000;
const ATTEMPTS = 300;
const MEDIAN_SHARE_MAX = 0.1;
const MEDIAN_MS_MAX = 3;

interface Attempt {
  readonly status: number;
  readonly ms: number;
}

/** Each attempt has a new client, so that no client is locked. */
let clients = 0;

function nextClient(): string {
  clients += 1;
  return `10.${(clients >> 16) & 255}.${(clients >> 8) & 255}.${clients & 255}`;
}

async function attempt(
  { url }: Pick<Installation, "url">,
  email: string,
  password: string,
  client = nextClient(),
): Promise<Attempt> {
  const startMs = systemClock.monotonicMs();
  const response = await fetch(`${url}/v1/login`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-forwarded-for": client },
    body: JSON.stringify({ email, password }),
  });
  await response.arrayBuffer();
  return { status: response.status, ms: systemClock.monotonicMs() - startMs };
}

/** Alternates rounds of logins with rounds of bare hashes, as many at once as the server hashes. */
export async function measureRate(
  installation: Installation,
  { active }: Accounts,
  roundMs: number,
): Promise<Row> {
  // As the server does without MUSTER_PASSWORD_HASHES_MAX.
  const slots = Math.max(1, Math.min(availableParallelism() - 1, 2));
  const passwords = new Passwords({ clock: systemClock, slots });
  const stored = await passwords.hash(PASSWORD);
  const rates: { readonly bare: number; readonly logins: number }[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    const bare = await runFor(roundMs, slots, async () =>
      (await passwords.verify(stored, PASSWORD)) ? 1 : 0,
    );
    const logins = await runFor(roundMs, LANES, async () => {
      const { status } = await attempt(installation, active, PASSWORD);
      if (status !== 200 && status !== 503) throw new Error(`a login got ${status}`);
      return status === 200 ? 1 : 0;
    });
    rates.push({ bare: bare.perSecond, logins: logins.perSecond });
  }
  return {
    part: "logins",
    per_second: median(rates.map(({ logins }) => logins)),
    bare_argon2_per_second: median(rates.map(({ bare }) => bare)),
    ratio: round(median(rates.map(({ bare, logins }) => logins / bare)), 2),
  };
}

/** A hundred logins at once, beside reads with an API key. */
export async function measureBurst(installation: Installation, { active }: Accounts): Promise<Row> {
  const pid = installation.processes.values().next().value?.pid ?? 0;
  const rest = new RestClient(installation);
  await rest.get("/v1/organizations");
  const beforeMiB = residentMiB(pid);
  let [isOver, peakMiB] = [false, beforeMiB];
  const reads: number[] = [];
  const reader = async (): Promise<void> => {
    while (!isOver) {
      const startMs = systemClock.monotonicMs();
      const { status } = await rest.get("/v1/organizations");
      if (status !== 200) throw new Error(`a read got ${status}`);
      reads.push(systemClock.monotonicMs() - startMs);
      peakMiB = Math.max(peakMiB, residentMiB(pid));
      await systemClock.sleep(5);
    }
  };
  const reading = reader();
  const attempts = await Promise.all(
    Array.from({ length: BURST }, () => attempt(installation, active, PASSWORD)),
  );
  isOver = true;
  await reading;
  const refused = attempts.filter(({ status }) => status === 503);
  const strange = attempts.filter(({ status }) => status !== 200 && status !== 503);
  if (strange.length > 0) throw new Error(`a login got ${strange[0]?.status}`);
  const addedMiB = round(peakMiB - beforeMiB, 1);
  const { p99_ms } = latencies(reads);
  const slowestRefusalMs = Math.max(0, ...refused.map(({ ms }) => round(ms, 0)));
  const isMet =
    addedMiB <= BURST_MEMORY_MIB_MAX &&
    p99_ms <= BURST_READ_MS_MAX &&
    slowestRefusalMs <= BURST_REFUSAL_MS_MAX;
  return {
    part: `${BURST} logins at once`,
    accepted: BURST - refused.length,
    refused: refused.length,
    slowest_refusal_ms: slowestRefusalMs,
    added_mib: addedMiB,
    read_p99_ms: p99_ms,
    goal: isMet ? "met" : "MISSED",
  };
}

/** Medians of interleaved refused attempts: a class whose time differs would reveal what is stored. */
export async function measureRefusals(installation: Installation, accounts: Accounts): Promise<Row[]> {
  const lockedClient = nextClient();
  const classes: Readonly<Record<string, () => Promise<Attempt>>> = {
    unknown: () => attempt(installation, accounts.unknown, "a wrong password"),
    unverified: () => attempt(installation, accounts.unverified, "a wrong password"),
    suspended: () => attempt(installation, accounts.suspended, "a wrong password"),
    "wrong password": () => attempt(installation, accounts.active, "a wrong password"),
    locked: () => attempt(installation, accounts.active, "a wrong password", lockedClient),
    "locked, unknown": () => attempt(installation, accounts.unknown, "a wrong password", lockedClient),
  };
  for (let failure = 0; failure < 5; failure += 1) {
    await classes.locked?.();
    await classes["locked, unknown"]?.();
  }
  const samples = new Map(Object.keys(classes).map((name): [string, number[]] => [name, []]));
  for (let round = 0; round < ATTEMPTS; round += 1) {
    // The order is random, because an attempt may slow the next attempt down.
    for (const [name, run] of shuffled(Object.entries(classes))) {
      const { status, ms } = await run();
      if (status !== (name.startsWith("locked") ? 429 : 401)) throw new Error(`${name} got ${status}`);
      samples.get(name)?.push(ms);
    }
  }
  const medians = [...samples].map(([name, all]) => ({ name, ms: median(all) }));
  const fastest = Math.min(...medians.map(({ ms }) => ms));
  const allowedMs = fastest + Math.max(fastest * MEDIAN_SHARE_MAX, MEDIAN_MS_MAX);
  return medians.map(({ name, ms }) => ({
    part: `a refused login: ${name}`,
    median_ms: round(ms),
    goal: ms <= allowedMs ? "met" : "MISSED",
  }));
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((one, other) => one.key - other.key)
    .map(({ item }) => item);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
