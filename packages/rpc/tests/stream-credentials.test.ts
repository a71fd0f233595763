// Streams end when the key of their caller ends or loses the permission, at every mount.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { AppError } from "@muster/errors";
import { FakeClock, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import { duplexMounts, type Mounted, mounts } from "./mounts.ts";
import { type TestModule, testModule } from "./test-module.ts";

const as = (key: string) => ({ headers: new Map([["authorization", `Bearer ${key}`]]) });

interface Outcome {
  readonly messages: number;
  readonly reason: string | undefined;
}

async function outcome(messages: AsyncIterable<unknown>): Promise<Outcome> {
  let count = 0;
  try {
    for await (const _ of messages) count += 1;
  } catch (error) {
    return { messages: count, reason: error instanceof AppError ? error.reason : String(error) };
  }
  return { messages: count, reason: undefined };
}

describe.each(Object.keys(mounts))("%s", (name) => {
  let module: TestModule;
  let mounted: Mounted;

  beforeEach(async () => {
    module = testModule();
    mounted = (await mounts[name]?.(module)) as Mounted;
  });
  afterEach(() => mounted.close());

  const events = (key: string) => createClient(EventService, mounted.caller, as(key));

  test.each(["waits", "hangs"])(
    "a tail whose handler %s ends with its key, and no other tail",
    async (behavior) => {
      const ended = outcome(events("reader").tailEvents({ names: [behavior] }));
      let isOver = false;
      const leaving = new AbortController();
      const other = outcome(
        createClient(EventService, mounted.caller, { ...as("writer"), signal: leaving.signal }).tailEvents({
          names: ["waits"],
        }),
      ).finally(() => {
        isOver = true;
      });
      await waitFor(() => module.observed.calls.length === 2);

      module.keys.end("reader");
      expect(await ended).toEqual({ messages: 1, reason: "UNAUTHENTICATED" });
      expect(module.observed.calls.filter(({ signal }) => signal.aborted)).toHaveLength(1);
      expect(isOver).toBe(false);

      leaving.abort();
      await other;
      await waitFor(() => module.keys.followers === 0);
    },
  );

  test("a tail that has ended follows no key", async () => {
    expect(await outcome(events("reader").tailEvents({}))).toEqual({ messages: 1, reason: undefined });
    expect(module.keys.followers).toBe(0);
  });
});

describe.each(duplexMounts)("a stream of requests, %s", (name) => {
  test("ends with the permission of its key", async () => {
    const module = testModule();
    const mounted = (await mounts[name]?.(module)) as Mounted;
    async function* requests() {
      yield { sequence: 1n, event: { name: "a" } };
      await new Promise<never>(() => {});
    }
    const events = createClient(EventService, mounted.caller, as("writer"));
    const ended = outcome(events.ingestEvents(requests()));
    await waitFor(() => module.observed.read === 1);
    module.keys.restrict();
    expect(await ended).toEqual({ messages: 1, reason: "PERMISSION_DENIED" });
    await waitFor(() => module.observed.ended === 1 && module.keys.followers === 0);
    await mounted.close();
  });
});

describe("without an announcement", () => {
  async function tail(prepare: (module: TestModule, clock: FakeClock) => void, credential = "reader") {
    const clock = new FakeClock();
    const module = testModule({ clock });
    prepare(module, clock);
    const events = createClient(EventService, module.dispatcher, as(credential));
    let isOver = false;
    const ended = outcome(events.tailEvents({ names: ["waits"] })).finally(() => {
      isOver = true;
    });
    await waitFor(() => module.observed.calls.length === 1);
    return { clock, module, ended, isOver: () => isOver };
  }

  test("a key is checked every minute", async () => {
    const { clock, module, ended, isOver } = await tail(() => {});
    await clock.advance(60_000);
    module.keys.end("reader", { isAnnounced: false });
    await clock.advance(59_999);
    expect(isOver()).toBe(false);
    await clock.advance(1);
    expect(await ended).toEqual({ messages: 1, reason: "UNAUTHENTICATED" });
  });

  test("a key ends at its expiry", async () => {
    const { clock, module, ended, isOver } = await tail(({ keys }, clock) => {
      keys.expireTimeMs = clock.nowMs() + 5_000;
    });
    module.keys.end("reader", { isAnnounced: false });
    await clock.advance(4_999);
    expect(isOver()).toBe(false);
    await clock.advance(1);
    expect(await ended).toEqual({ messages: 1, reason: "UNAUTHENTICATED" });
  });

  test("a stream of a user outlives the access token and ends with the session", async () => {
    const { clock, module, ended, isOver } = await tail(({ keys }, clock) => {
      keys.expireTimeMs = clock.nowMs() + 5_000;
    }, "ada-a");
    module.keys.isTokenExpired = true;
    await clock.advance(5_000);
    await clock.advance(60_000);
    expect(isOver()).toBe(false);
    module.keys.end("ada-a", { isAnnounced: false });
    await clock.advance(59_999);
    expect(isOver()).toBe(false);
    await clock.advance(1);
    expect(await ended).toEqual({ messages: 1, reason: "SESSION_ENDED" });
  });
});

describe("a stream of a user", () => {
  test.each(["id-of-ada-a", "ada", "signing-key", undefined])(
    "is checked when %s is announced",
    async (id) => {
      const module = testModule();
      const events = createClient(EventService, module.dispatcher, as("ada-a"));
      const ended = outcome(events.tailEvents({ names: ["waits"] }));
      await waitFor(() => module.observed.calls.length === 1);
      module.keys.end("ada-a", { isAnnounced: false });
      module.keys.announce("id-of-ada-b");
      module.keys.announce(id);
      expect(await ended).toEqual({ messages: 1, reason: "SESSION_ENDED" });
    },
  );
});
