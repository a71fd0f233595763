// Freezes a replica of events and of segments inside a transaction (SIGSTOP). The other replica acknowledges and
// reads again soon, and no event is doubled when the frozen replica continues.
import { systemClock } from "@muster/core";
import { type Database, openMysql } from "@muster/db";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import type { MusterProcess } from "../harness/process.ts";
import { RestClient } from "../harness/rest.ts";

const USERS = 20;
const WRITERS = 4;
/** New users of one burst. */
const NEW_USERS = 60;
/** Most attempts to freeze the replica inside a transaction: the other replica may begin first. */
const FREEZES_MAX = 20;
/** Rows that every transaction of a service changes, after it has taken other locks. */
const CONTENDED_TABLES = { events: "shard_positions", segments: "segment_counts" };
/** The promise is ten seconds; a loaded machine adds to that. */
const TAKEOVER_MS_MAX = 20_000;

describe("two replicas of each service", () => {
  let installation: Installation;
  let rest: RestClient;
  let server: Database;

  beforeAll(async () => {
    installation = await startInstallation("production", {}, { replicas: 2 });
    rest = new RestClient(installation);
    server = await openMysql({
      url: installation.variables.MUSTER_DATABASE_URL ?? "",
      database: "information_schema",
    });
    await rest.post("/v1/segments", { name: "Counted", event_name: "counted", min_count: 1 });
    await waitFor(async () => (await rest.get("/v1/segments/counted")).body.state === "live", {
      timeoutMs: 30_000,
    });
  }, 240_000);
  afterAll(async () => {
    for (const process of installation?.processes.values() ?? []) process.signal("SIGCONT");
    await server?.close();
    await installation?.stop();
  });

  test.each(["events", "segments"] as const)(
    "the other replica of %s takes over soon",
    { timeout: 240_000 },
    async (service) => {
      const load = new Load(installation, service);
      const running = load.run();
      const frozen = installation.processes.get(`${service}-2`);
      const database = `${installation.variables.MUSTER_DATABASE_PREFIX}${service}`;
      // Enough to have some in every shard.
      const late = Array.from({ length: 100 }, (_, index) => `late-${service}-${index}`);
      try {
        const contended = { database, table: CONTENDED_TABLES[service] };
        await freezeInTransaction(server, frozen, contended, () => load.sendNewUsers());
        const startMs = systemClock.monotonicMs();
        const acknowledgment = (user: string) =>
          waitFor(() => post(rest, { user_id: user, name: "counted", event_id: user }), {
            timeoutMs: 60_000,
            what: "an acknowledgment by the other replica",
          });
        await Promise.all(late.map(acknowledgment));
        const acknowledgedMs = systemClock.monotonicMs() - startMs;
        const profiles = await waitFor(() => members(rest), { timeoutMs: 60_000, what: "a strong read" });
        const readMs = systemClock.monotonicMs() - startMs;
        expect(profiles.map((profile) => profile.user_id)).toEqual(expect.arrayContaining(late));
        expect({ acknowledgedMs, readMs }).toSatisfy(
          () => acknowledgedMs < TAKEOVER_MS_MAX && readMs < TAKEOVER_MS_MAX,
        );
      } finally {
        frozen?.signal("SIGCONT");
        load.stop();
        await running;
      }
      await expectEveryEventOnce(rest, [...load.acknowledged, ...late]);
    },
  );
});

/** Sends events to both replicas, and repeats each event until the acknowledgment. */
class Load {
  readonly acknowledged: string[] = [];
  readonly #clients: readonly RestClient[];
  readonly #name: string;
  #bursts = 0;
  #running = true;

  constructor({ urls, apiKey }: Installation, name: string) {
    this.#clients = urls.map((url) => new RestClient({ url, apiKey }));
    this.#name = name;
  }

  async run(): Promise<void> {
    const writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(writer));
    await Promise.all(writers);
  }

  stop(): void {
    this.#running = false;
  }

  /** Sends events of new users to both replicas, without waiting; enough to have some in every shard. */
  sendNewUsers(): void {
    this.#bursts += 1;
    for (let count = 0; count < NEW_USERS; count += 1) {
      const id = `${this.#name}-new-${this.#bursts}-${count}`;
      const client = this.#clients[count % this.#clients.length];
      if (client === undefined) return;
      void post(client, { user_id: id, name: "counted", event_id: id }).then((isAcknowledged) => {
        if (isAcknowledged) this.acknowledged.push(id);
      });
    }
  }

  async #write(writer: number): Promise<void> {
    const client = this.#clients[writer % this.#clients.length];
    for (let count = 0; this.#running && client !== undefined; count += 1) {
      const id = `${this.#name}-${writer}-${count}`;
      const event = { user_id: `user-${count % USERS}`, name: "counted", event_id: id };
      while (!(await post(client, event))) await systemClock.sleep(50);
      this.acknowledged.push(id);
    }
  }
}

async function post(
  client: RestClient,
  event: { user_id: string; name: string; event_id: string },
): Promise<boolean> {
  const response = await client.post("/v1/events", event).catch(() => undefined);
  return response?.status === 201 || response?.status === 200;
}

async function members(client: RestClient): Promise<{ id: string; user_id: string }[] | undefined> {
  return client.all("/v1/segments/counted/profiles", "profiles").catch(() => undefined);
}

/**
 * Freezes the process inside a transaction. A session of the test locks the rows that every transaction of the
 * service changes last. Once transactions wait for the rows, the process is frozen and the rows are released: the
 * server then grants the locks to a process that does not continue.
 */
async function freezeInTransaction(
  server: Database,
  process: MusterProcess | undefined,
  { database, table }: { readonly database: string; readonly table: string },
  write: () => void,
): Promise<void> {
  for (let freeze = 0; freeze < FREEZES_MAX; freeze += 1) {
    await server.transaction(async (trx) => {
      await trx.raw(`SELECT * FROM ${database}.${table} FOR UPDATE`);
      write();
      // Both replicas have had the time to begin a transaction.
      await waitFor(() => hasWaiting(server, database), { timeoutMs: 2_000 }).catch(() => undefined);
      await systemClock.sleep(500);
      process?.signal("SIGSTOP");
    });
    // Transactions of the other replica end meanwhile.
    await systemClock.sleep(1_000);
    if (await holdsLocks(server, database, 300)) return;
    process?.signal("SIGCONT");
  }
  throw new Error(`no freeze of ${database} hit a transaction`);
}

async function hasWaiting(server: Database, database: string): Promise<boolean> {
  const [rows] = await server.reader.raw<[unknown[]]>(
    "SELECT 1 FROM innodb_trx t JOIN processlist p ON p.id = t.trx_mysql_thread_id " +
      "WHERE p.db = ? AND t.trx_state = 'LOCK WAIT'",
    [database],
  );
  return rows !== undefined && rows.length > 0;
}

async function holdsLocks(server: Database, database: string, sleepingMs: number): Promise<boolean> {
  const [rows] = await server.reader.raw<[unknown[]]>(
    "SELECT 1 FROM innodb_trx t JOIN processlist p ON p.id = t.trx_mysql_thread_id " +
      "WHERE p.db = ? AND p.command = 'Sleep' AND p.time_ms > ? AND t.trx_tables_locked >= 3",
    [database, sleepingMs],
  );
  return rows !== undefined && rows.length > 0;
}

async function expectEveryEventOnce(client: RestClient, acknowledged: readonly string[]): Promise<void> {
  const profiles = await client.all("/v1/profiles", "profiles");
  const stored: string[] = [];
  for (const { id } of profiles) {
    const events = await client.all(`/v1/profiles/${id}/events`, "events");
    stored.push(
      ...events.map((event: { user_id: string; name: string; event_id: string }) => event.event_id),
    );
  }
  expect(stored.length).toBe(new Set(stored).size);
  expect(acknowledged.filter((id) => !stored.includes(id))).toEqual([]);
  const found = await client.all("/v1/segments/counted/profiles", "profiles");
  expect(found.map(({ id }: { id: string }) => id).sort()).toEqual(profiles.map(({ id }) => id).sort());
}
