// Kills the process that evaluates alerts, under a load of deposits and withdrawals: the stored alerts equal
// a serial replay in the order of arrival. No alert is lost or doubled, and every response was correct.
import { SeededRandom } from "@muster/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ReferenceAction, ReferenceAlerts } from "../../services/events/tests/reference-alerts.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

const KILLS = 4;
const BATCH_USERS = 8;
/** Only in one mode, because the key of a request whose process died stays claimed for half a minute. */
const ACTION_USERS = { embedded: 0, production: 3 } as const;
const ACTIONS_MIN = 40;
const RETRY_MS = 50;

/** Actions of a user, each sent again until it is acknowledged, so that the order of arrival is defined. */
class SimulatedUser {
  readonly userId: number;
  readonly sent: ReferenceAction[] = [];
  /** Alert codes of the responses that contain codes. */
  readonly responses: number[][] = [];
  readonly #rest: RestClient;
  readonly #random: SeededRandom;
  #isRunning = true;

  constructor(rest: RestClient, userId: number) {
    this.#rest = rest;
    this.userId = userId;
    this.#random = new SeededRandom(userId);
  }

  /** Batches of events with ids and times, which identify a retry. */
  async sendBatches(): Promise<void> {
    for (let batch = 0; this.#isRunning || this.sent.length < ACTIONS_MIN; batch += 1) {
      const actions = Array.from({ length: 1 + Math.floor(this.#random.next() * 6) }, () => this.#next());
      const events = actions.map(({ name, amount, time }, index) => ({
        user_id: String(this.userId),
        name,
        properties: { amount },
        timestamp: new Date(time * 1000).toISOString(),
        event_id: `${this.userId}-${batch}-${index}`,
      }));
      const { body } = await this.#untilResponse(() => this.#rest.post("/v1/events:batch", { events }));
      for (const { status } of body.results) expect(["stored", "duplicate"]).toContain(status);
      this.sent.push(...actions);
    }
  }

  /** Single actions, whose idempotency key identifies a retry. */
  async sendActions(): Promise<void> {
    while (this.#isRunning || this.sent.length < ACTIONS_MIN) {
      const action = this.#next();
      const body = { type: action.name, amount: action.amount, user_id: this.userId, time: action.time };
      const key = { "idempotency-key": `${this.userId}-${this.sent.length}` };
      const response = await this.#untilResponse(() => this.#rest.post("/api/events", body, key));
      this.sent.push(action);
      this.responses.push(response.body.alert_codes);
    }
  }

  stop(): void {
    this.#isRunning = false;
  }

  #next(): ReferenceAction {
    const { length } = this.sent;
    return {
      name: this.#random.chance(0.7) ? "deposit" : "withdraw",
      amount: `${1 + Math.floor(this.#random.next() * 120)}.${Math.floor(this.#random.next() * 100)}`,
      // Mostly increasing, and late at times.
      time: length * 4 + Math.floor(this.#random.next() * 40),
    };
  }

  async #untilResponse(send: () => Promise<RestResponse>): Promise<RestResponse> {
    for (;;) {
      const response = await send().catch(() => undefined);
      if (response?.status === 200) return response;
      // Overloaded, unreachable, or the key is still claimed by a request whose process died.
      const mayPass = response === undefined || [409, 429, 500, 502, 503].includes(response.status);
      expect(mayPass, response?.text).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  test("kill -9 under a load of deposits leaves the alerts of a serial replay", {
    timeout: 180_000,
  }, async () => {
    const users = Array.from(
      { length: BATCH_USERS + ACTION_USERS[mode] },
      (_, index) => new SimulatedUser(rest, index + 1),
    );
    const profileIds: string[] = [];
    for (const { userId } of users) {
      const created = await rest.post("/v1/profiles", { user_id: String(userId) });
      expect(created.status, created.text).toBe(201);
      profileIds.push(created.body.id);
    }
    const running = Promise.all(
      users.map((simulated, index) =>
        index < BATCH_USERS ? simulated.sendBatches() : simulated.sendActions(),
      ),
    );
    const eventsProcess = installation.processes.get(mode === "embedded" ? "all" : "events");
    for (let kill = 0; kill < KILLS; kill += 1) {
      // A random moment, whatever transaction is committing.
      await new Promise((resolve) => setTimeout(resolve, 400 + 173 * kill));
      await eventsProcess?.end("SIGKILL");
      await eventsProcess?.start();
    }
    for (const simulated of users) simulated.stop();
    await running;

    let total = 0;
    for (const [index, { userId, sent, responses }] of users.entries()) {
      const reference = new ReferenceAlerts();
      const expected = sent.map((action) => reference.record(action));
      const alerts = await rest.all(`/v1/alerts?user_id=${userId}`, "alerts");
      const codes = alerts.map(({ code }: { code: number }) => code).reverse();
      // Oldest first; alerts of the same event are ordered by code.
      expect(codes, `user ${userId}`).toEqual(expected.flat());
      if (responses.length > 0) expect(responses).toEqual(expected);
      const events = await rest.all(`/v1/profiles/${profileIds[index]}/events`, "events");
      expect(events).toHaveLength(sent.length);
      total += alerts.length;
    }
    expect(total).toBeGreaterThan(100);
  });
});
