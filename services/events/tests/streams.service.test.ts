// Tests the public streams: ingest, which acknowledges committed events, and the live tail.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  EventService,
  type IngestEventsRequestSchema,
  type IngestEventsResponse,
  type TailEventsResponse,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { type OrganizationId, systemClock } from "@muster/core";
import { ENGINES, type FakeClock, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

type Sent = MessageInitShape<typeof IngestEventsRequestSchema>;
const { recordEvent, batchRecordEvents, listEvents } = EventService.method;
const { listProfiles, createProfile } = ProfileService.method;
const user = (value: string) => ({ case: "userId", value }) as const;

interface Numbered {
  readonly sequence: bigint;
  readonly event: MessageInitShape<typeof EventInputSchema>;
}

function* numbered(count: number, from = 1): Generator<Numbered> {
  for (let index = 0; index < count; index += 1) {
    const event = { identity: user(String(index % 20)), name: "seen", eventId: `e${from + index}` };
    yield { sequence: BigInt(from + index), event: { ...event, timestamp: timestampFromMs(index) } };
  }
}

async function* asStream(list: Iterable<Sent>): AsyncGenerator<Sent> {
  yield* list;
}

async function collect<T>(responses: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const response of responses) all.push(response);
  return all;
}

describe.each(ENGINES)("streams on %s", (engine) => {
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  const ingest = (requests: AsyncIterable<Sent>, on = events) =>
    on.client(EventService, as).ingestEvents(requests);
  async function countStored(): Promise<number> {
    let count = 0;
    const { profiles } = await events.call(listProfiles, { pageSize: 500 }, as);
    for (const { id: profileId } of profiles) {
      count += (await events.call(listEvents, { profileId, pageSize: 500 }, as)).events.length;
    }
    return count;
  }

  describe("ingest", () => {
    test("acknowledges all by the end, in order, in far fewer commits than events", async () => {
      const before = await events.count("muster_ingest_commits_total");
      const responses = await collect(ingest(asStream(numbered(3000))));
      const acked = responses.map(({ ackedThrough }) => Number(ackedThrough));
      expect(acked.at(-1)).toBe(3000);
      expect([...acked].sort((a, b) => a - b)).toEqual(acked);
      expect(responses.flatMap(({ failures }) => failures)).toEqual([]);
      expect((await events.count("muster_ingest_commits_total")) - before).toBeLessThanOrEqual(10);
      expect(await countStored()).toBe(3000);
    });

    test("an acknowledged event is stored, and more events follow on the open stream", async () => {
      let send: (sent: Sent | undefined) => void = () => {};
      const requests = (async function* () {
        for (;;) {
          const sent = await new Promise<Sent | undefined>((resolve) => {
            send = resolve;
          });
          if (sent === undefined) return;
          yield sent;
        }
      })();
      const responses = ingest(requests)[Symbol.asyncIterator]();
      for (const sent of numbered(3, 41)) {
        const next = responses.next();
        const before = send;
        await waitFor(() => send !== before || send !== undefined);
        await new Promise((resolve) => setImmediate(resolve));
        send(sent);
        expect((await next).value).toMatchObject({ ackedThrough: sent.sequence });
        expect(await countStored()).toBe(Number(sent.sequence) - 40);
      }
      const end = responses.next();
      await new Promise((resolve) => setImmediate(resolve));
      send(undefined);
      expect((await end).done).toBe(true);
    });

    test("invalid events are reported by sequence and do not delay others; duplicates are no failures", async () => {
      const list = [...numbered(6)];
      const partlyInvalid = list.map((sent, index): Sent => {
        if (index === 1) return { sequence: sent.sequence };
        if (index === 3) return { ...sent, event: { ...sent.event, name: "" } };
        if (index === 4)
          return { ...sent, event: { ...sent.event, eventId: "e1", timestamp: timestampFromMs(0) } };
        return sent;
      });
      const failuresOf = (responses: readonly IngestEventsResponse[]) =>
        responses
          .flatMap(({ failures }) => failures)
          .map(({ sequence, error }) => [Number(sequence), error?.reason]);
      const expected = [
        [2, "FIELD_INVALID"],
        [4, "FIELD_INVALID"],
        [5, "EVENT_CONFLICT"],
      ];
      for (let round = 0; round < 2; round += 1) {
        const responses = await collect(ingest(asStream(partlyInvalid)));
        expect(responses.at(-1)?.ackedThrough).toBe(6n);
        expect(failuresOf(responses)).toEqual(expected);
      }
      expect(await countStored()).toBe(3);
    });

    test("a gap in the sequence ends the stream after all earlier events are acknowledged", async () => {
      const list = [...numbered(3, 7), { sequence: 11n, event: { identity: user("x"), name: "seen" } }];
      const responses: IngestEventsResponse[] = [];
      const reading = (async () => {
        for await (const response of ingest(asStream(list))) responses.push(response);
      })();
      await expectReason(reading, "FIELD_INVALID", { fields: [{ field: "sequence" }] });
      expect(responses.at(-1)?.ackedThrough).toBe(9n);
      expect(await countStored()).toBe(3);
    });

    test("reads no further ahead than four submissions and a fifth", async () => {
      let taken = 0;
      const requests = (async function* () {
        for (const sent of numbered(20_000)) {
          taken += 1;
          yield sent;
        }
      })();
      const responses = ingest(requests)[Symbol.asyncIterator]();
      await responses.next();
      // The second response is not consumed, so reading stops.
      let seen = -1;
      await waitFor(async () => {
        const isIdle = seen === taken;
        seen = taken;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return isIdle;
      });
      expect(taken).toBeLessThanOrEqual(6 * 1000);
      await responses.return?.();
    });

    test("waits while the service is overloaded", async () => {
      const tight = await EventsUnderTest.open(engine, { backlogItemsMax: 5 });
      try {
        const shards = Array.from({ length: 16 }, (_, shard) => ({ shard, position: 0n, itemsThrough: 0n }));
        await tight.feed.reportApplied({ consumer: "segments", shards });
        const responses: IngestEventsResponse[] = [];
        await tight.call(
          batchRecordEvents,
          { events: Array(6).fill({ identity: user("0"), name: "seen" }) },
          as,
        );
        const reading = (async () => {
          for await (const response of ingest(asStream(numbered(5)), tight)) responses.push(response);
        })();
        await waitFor(async () => (await tight.count("muster_ingest_refused_submissions_total")) > 0);
        expect(responses).toEqual([]);
        const { positions } = await tight.feed.getPositions({});
        await tight.feed.reportApplied({
          consumer: "segments",
          shards: positions.map((position, shard) => ({ shard, position, itemsThrough: 1000n })),
        });
        await waitFor(async () => {
          await (tight.clock as FakeClock).advance(1000);
          return responses.at(-1)?.ackedThrough === 5n;
        });
        await reading;
      } finally {
        await tight.close();
      }
    });
  });

  describe("a tail", () => {
    const tail = (request: object, signal: AbortSignal, on = as) =>
      events
        .client(EventService, { ...on, signal })
        .tailEvents(request)
        [Symbol.asyncIterator]();
    const record = (name: string, on = as, who = "13") =>
      events.call(recordEvent, { event: { identity: user(who), name } }, on);
    async function next(responses: AsyncIterator<TailEventsResponse>): Promise<TailEventsResponse> {
      const { value, done } = await responses.next();
      if (done) throw new Error("the tail has ended");
      return value;
    }

    test("confirms the attachment, then returns the organization's events only", async () => {
      const cut = new AbortController();
      await record("before");
      const responses = tail({}, cut.signal);
      expect((await next(responses)).event).toBeUndefined();
      await record("foreign", { organizationId: newOrganization() });
      const { event } = await record("mine");
      expect((await next(responses)).event).toEqual(event);
      const waiting = responses.next();
      cut.abort();
      await waiting.catch(() => {});
    });

    test("filters by name and by profile", async () => {
      const cut = new AbortController();
      const { event: first } = await record("seen");
      const responses = tail({ names: ["paid"], profileId: first?.profileId ?? "" }, cut.signal);
      await next(responses);
      await record("seen");
      await record("paid", as, "14");
      const { event } = await record("paid");
      expect((await next(responses)).event).toEqual(event);
      cut.abort();
      const unknown = tail(
        { profileId: "01980000-0000-7000-8000-000000000000" },
        new AbortController().signal,
      );
      await expectReason(unknown.next(), "PROFILE_NOT_FOUND");
    });

    test("resumes after any response without gaps or duplicates", async () => {
      const cut = new AbortController();
      const responses = tail({}, cut.signal);
      const attached = await next(responses);
      const batch = Array.from({ length: 120 }, (_, index) => ({
        identity: user(String(index % 9)),
        name: `n${index}`,
      }));
      const { results } = await events.call(batchRecordEvents, { events: batch }, as);
      await events.call(createProfile, { userId: "quiet" }, as);
      const expected = results.map(({ id }) => id).sort();
      const returned = [attached];
      while (returned.length <= 120) returned.push(await next(responses));
      expect(
        returned
          .slice(1)
          .map(({ event }) => event?.id)
          .sort(),
      ).toEqual(expected);
      cut.abort();
      for (const from of [0, 1, 17, 60, 119]) {
        const resumed = new AbortController();
        const again = tail({ resumeToken: returned[from]?.resumeToken ?? "" }, resumed.signal);
        await next(again);
        const seen = returned.slice(1, from + 1).map(({ event }) => event?.id);
        while (seen.length < 120) seen.push((await next(again)).event?.id);
        expect(seen.sort()).toEqual(expected);
        resumed.abort();
      }
    });

    test("many concurrent tails receive every event", async () => {
      const cut = new AbortController();
      const tails = Array.from({ length: 10 }, () => tail({}, cut.signal));
      await Promise.all(tails.map(next));
      const receiving = tails.map(async (responses) => {
        const received: (string | undefined)[] = [];
        while (received.length < 60) received.push((await next(responses)).event?.id);
        return received.sort();
      });
      const ids: (string | undefined)[] = [];
      for (let round = 0; round < 6; round += 1) {
        const sent = Array.from({ length: 10 }, (_, index) => record(`${round}.${index}`, as, String(index)));
        for (const { event } of await Promise.all(sent)) ids.push(event?.id);
      }
      for (const received of await Promise.all(receiving)) expect(received).toEqual([...ids].sort());
      cut.abort();
    });

    test("receives events committed by another process", async () => {
      const here = await EventsUnderTest.open(engine, { beside: events, clock: systemClock });
      const cut = new AbortController();
      try {
        const responses = here
          .client(EventService, { ...as, signal: cut.signal })
          .tailEvents({})
          [Symbol.asyncIterator]();
        await next(responses);
        const { event } = await record("elsewhere");
        expect((await next(responses)).event).toEqual(event);
      } finally {
        cut.abort();
        await here.close();
      }
    });

    test("rejects a token that is forged, of another organization, or too old", async () => {
      const cut = new AbortController();
      const { resumeToken } = await next(tail({}, cut.signal));
      const refused = async (token: string, on = as) =>
        expectReason(tail({ resumeToken: token }, cut.signal, on).next(), "POSITION_INVALID");
      await refused(`${resumeToken}A`);
      await refused("nonsense");
      await refused(resumeToken, { organizationId: newOrganization() });
      await record("later");
      // Deletes old messages like the relay, which trims messages applied by all consumers.
      await events.database.transaction((trx) => trx("outbox_messages").delete());
      const responses = tail({ resumeToken }, cut.signal);
      await next(responses);
      await expectReason(responses.next(), "POSITION_INVALID");
      cut.abort();
    });
  });
});
