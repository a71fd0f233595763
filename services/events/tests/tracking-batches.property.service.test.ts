// Tests that a batch equals its calls in sequence: sending calls in one batch, in several batches or singly,
// with repetitions, results in the same profiles and events.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { ENGINES } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const userId = fc.constantFrom("u1", "u2", "u3");
const anonymousId = fc.constantFrom("a1", "a2", "a3");
const traits = fc
  .dictionary(fc.constantFrom("x", "y"), fc.constantFrom(1, "two", null), { maxKeys: 2 })
  .map((some) => JSON.stringify(some));

const call = fc.oneof(
  fc.record({ type: fc.constant("track"), userId, event: fc.constant("bought") }),
  fc.record({ type: fc.constant("track"), anonymousId, event: fc.constant("seen") }),
  fc.record({ type: fc.constant("identify"), userId, anonymousId, traits }),
  fc.record({ type: fc.constant("identify"), userId, traits }),
  fc.record({ type: fc.constant("identify"), anonymousId, traits }),
  fc.record({ type: fc.constant("alias"), userId, previousId: fc.oneof(userId, anonymousId) }),
);
/** Repeated message ids have other content; only the first call counts. */
const calls = fc
  .array(fc.tuple(call, fc.nat(30)), { minLength: 1, maxLength: 14 })
  .map((sent) => sent.map(([one, id]) => ({ ...one, messageId: `m${id}` })));
const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 14, maxLength: 14 });

describe.each(ENGINES)("batches of tracking calls on %s", (engine) => {
  let events: EventsUnderTest;
  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());

  type Calls = Parameters<typeof send>[0];
  async function send(parts: readonly (readonly { type: string; messageId: string }[])[]) {
    const as = { organizationId: newOrganization() };
    for (const part of parts) {
      if (part.length > 0) await events.call(TrackingService.method.batch, { batch: [...part] }, as);
    }
    const { profiles } = await events.call(ProfileService.method.listProfiles, {}, as);
    const groups = [];
    for (const profile of profiles) {
      const { events: own } = await events.call(
        EventService.method.listEvents,
        { profileId: profile.id, pageSize: 500 },
        as,
      );
      groups.push({
        userId: profile.userId,
        traits: JSON.parse(profile.traits),
        events: own.map(({ eventId, name }) => `${eventId} ${name}`).sort(),
      });
    }
    return groups.sort((a, b) => (a.events.join() < b.events.join() ? -1 : 1));
  }

  test("sequential calls, one batch, several batches and repeated calls have equal results", {
    timeout: propertyTimeoutMs(120_000),
  }, async () => {
    await checkProperty(
      fc.asyncProperty(calls, cuts, async (sent, sizes) => {
        const single = await send(sent.map((one) => [one]));
        const ids = new Set(sent.map(({ messageId }) => messageId));
        expect(single.flatMap((group) => group.events)).toHaveLength(ids.size);
        expect(await send([sent])).toEqual(single);
        const parts: Calls[number][] = [];
        let start = 0;
        for (const size of sizes) {
          parts.push(sent.slice(start, start + size));
          start += size;
        }
        expect(await send([...parts, sent.slice(start), sent])).toEqual(single);
      }),
      { numRuns: 15 },
    );
  });
});
