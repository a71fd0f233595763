// Compares random submissions, sent with random concurrency through two processes, with a short model.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventResultStatus, EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization, type OutboxEnd } from "./events-under-test.ts";

const { batchRecordEvents, listEvents } = EventService.method;
const { listProfiles } = ProfileService.method;
const { STORED, DUPLICATE, REJECTED } = EventResultStatus;

const sentEvent = fc.record(
  {
    user: fc.constantFrom("a", "b", "c"),
    name: fc.constantFrom("seen", "paid"),
    eventId: fc.constantFrom("1", "2", "3"),
    atMs: fc.constantFrom(-5, 7, 86_400_007),
    properties: fc.constantFrom('{"a":1,"b":2}', '{"b":2.0,"a":1}', '{"a":1}'),
  },
  { requiredKeys: ["user", "name"] },
);
type SentEvent = typeof sentEvent extends fc.Arbitrary<infer T> ? T : never;

function toInput({ user, name, eventId, atMs, properties }: SentEvent) {
  return {
    identity: { case: "userId" as const, value: user },
    name,
    ...(eventId !== undefined && { eventId }),
    ...(atMs !== undefined && { timestamp: timestampFromMs(atMs) }),
    ...(properties !== undefined && { properties }),
  };
}

/** Returns equal texts for events of equal content. */
function contentOf({ user, name, properties }: SentEvent): string {
  const { a, b } = JSON.parse(properties ?? "{}") as { a?: number; b?: number };
  return JSON.stringify([user, name, a, b]);
}

/** Predicts the outcome of each event in sequence. */
class Model {
  readonly kept: SentEvent[] = [];
  readonly #byKey = new Map<string, string>();

  send(event: SentEvent): EventResultStatus {
    const key = event.eventId === undefined ? undefined : `${event.eventId}@${event.atMs}`;
    const content = contentOf(event);
    const before = key === undefined ? undefined : this.#byKey.get(key);
    if (before !== undefined) return before === content ? DUPLICATE : REJECTED;
    if (key !== undefined) this.#byKey.set(key, content);
    this.kept.push(event);
    return STORED;
  }
}

describe.each(ENGINES)("random submissions on %s", (engine) => {
  let processes: EventsUnderTest[];

  beforeAll(async () => {
    const first = await EventsUnderTest.open(engine);
    processes = [first, await EventsUnderTest.open(engine, { beside: first })];
  });
  afterAll(async () => {
    for (const one of [...processes].reverse()) await one.close();
  });

  const send = async (batch: readonly SentEvent[], organizationId: OrganizationId, process: number) => {
    const request = { events: batch.map(toInput) };
    const { results } =
      (await processes[process]?.call(batchRecordEvents, request, { organizationId })) ?? {};
    return results ?? [];
  };
  const endsBefore = async (): Promise<OutboxEnd[]> => (await processes[0]?.announcedEnds()) ?? [];
  /** Reads the outbox only after the ends, because many rounds fill it. */
  const listed = async (organizationId: OrganizationId, ends: readonly OutboxEnd[]) => {
    const [events] = processes;
    if (events === undefined) throw new Error("no process");
    const contents: string[] = [];
    const { profiles } = await events.call(listProfiles, {}, { organizationId });
    for (const { id, userId } of profiles) {
      const page = await events.call(listEvents, { profileId: id, pageSize: 500 }, { organizationId });
      for (const { name, properties } of page.events)
        contents.push(contentOf({ user: userId ?? "", name, properties } as SentEvent));
    }
    const own = uuidToBytes(organizationId);
    const announced = (await events.announced(ends)).events.filter((one) => own.equals(one.organizationId));
    return { profiles, contents: contents.sort(), announced };
  };

  test("sequential submissions have the outcomes of the model", async () => {
    await checkProperty(
      fc.asyncProperty(
        fc.array(fc.array(sentEvent, { maxLength: 12 }), { maxLength: 6 }),
        async (batches) => {
          const organizationId = newOrganization();
          const ends = await endsBefore();
          const model = new Model();
          for (const [index, batch] of batches.entries()) {
            const results = await send(batch, organizationId, index % 2);
            expect(results.map(({ status }) => status)).toEqual(batch.map((event) => model.send(event)));
          }
          const { profiles, contents, announced } = await listed(organizationId, ends);
          expect(contents).toEqual(model.kept.map(contentOf).sort());
          expect(announced).toHaveLength(model.kept.length);
          expect(profiles.map(({ userId }) => userId).sort()).toEqual(
            [...new Set(model.kept.map(({ user }) => user))].sort(),
          );
        },
      ),
      { numRuns: 25 },
    );
  });

  test("concurrent submissions through two processes are stored once and published as stored", async () => {
    await checkProperty(
      fc.asyncProperty(
        fc.array(fc.array(sentEvent, { maxLength: 12 }), { minLength: 2, maxLength: 8 }),
        async (batches) => {
          const organizationId = newOrganization();
          const ends = await endsBefore();
          const responses = await Promise.all(
            batches.map((batch, index) => send(batch, organizationId, index % 2)),
          );
          const sent = batches.flat();
          const results = responses.flat();
          const storedIds = results.filter(({ status }) => status === STORED).map(({ id }) => id);
          expect(new Set(storedIds).size).toBe(storedIds.length);
          const winners = new Map<string, string>();
          for (const [index, event] of sent.entries()) {
            if (results[index]?.status === STORED && event.eventId !== undefined) {
              const key = `${event.eventId}@${event.atMs}`;
              // Of events with equal id and time only the first is stored.
              expect(winners.has(key)).toBe(false);
              winners.set(key, contentOf(event));
            }
          }
          for (const [index, event] of sent.entries()) {
            if (event.eventId === undefined) {
              expect(results[index]?.status).toBe(STORED);
            } else if (results[index]?.status !== STORED) {
              const isSame = winners.get(`${event.eventId}@${event.atMs}`) === contentOf(event);
              expect(results[index]?.status).toBe(isSame ? DUPLICATE : REJECTED);
            }
          }
          const { contents, announced } = await listed(organizationId, ends);
          expect(contents).toHaveLength(storedIds.length);
          expect(announced.map(({ id }) => bytesToUuid(id)).sort()).toEqual([...storedIds].sort());
        },
      ),
      { numRuns: 25 },
    );
  });
});
