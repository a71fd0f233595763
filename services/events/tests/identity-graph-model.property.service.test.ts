// Runs random merges, undos, updates and events through two processes. Sequential runs are compared with a
// short model. After concurrent runs every profile and event must belong to exactly one group.
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  ProfileChangedSchema,
  ProfileMergedSchema,
  ProfileUnmergedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { ALL_SHARDS, bytesToUuid, type OrganizationId, shardOf, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization, type OutboxEnd } from "./events-under-test.ts";

const { batchRecordEvents, listEvents } = EventService.method;
const { createProfile, getProfile, listProfiles, mergeProfile, unmergeProfile, updateProfile } =
  ProfileService.method;

const PROFILES = 7;
const RUNS = 15;
/** On a busy machine, a call gives up after seconds of conflicts or waits, and has then stored nothing. */
const ATTEMPTS_MAX = 10;
/** Many statements take long on a busy machine. */
const TIMEOUT_MS = 180_000;
const profile = fc.nat(PROFILES - 1);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("merge" as const), one: profile, into: profile }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("unmerge" as const), one: profile }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("events" as const),
      of: fc.array(profile, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("update" as const),
      one: profile,
      name: fc.constantFrom("x", "y"),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The parents determine the whole state. */
class Model {
  readonly parents: (number | undefined)[] = new Array(PROFILES).fill(undefined);
  readonly events: { of: number; id: string }[] = [];

  rootOf(one: number): number {
    const parent = this.parents[one];
    return parent === undefined ? one : this.rootOf(parent);
  }

  /** The reason of the rejection, if rejected. */
  merge(one: number, into: number): string | undefined {
    if (one === into) return "FIELD_INVALID";
    const [source, target] = [this.rootOf(one), this.rootOf(into)];
    if (source === target) return "PROFILE_MERGED_BEFORE";
    this.parents[source] = target;
    return undefined;
  }

  unmerge(one: number): string | undefined {
    if (this.parents[one] === undefined) return "PROFILE_NOT_MERGED";
    this.parents[one] = undefined;
    return undefined;
  }
}

describe.each(ENGINES)("a random identity graph on %s", (engine) => {
  let processes: EventsUnderTest[];

  beforeAll(async () => {
    const first = await EventsUnderTest.open(engine);
    processes = [first, await EventsUnderTest.open(engine, { beside: first })];
  });
  afterAll(async () => {
    for (const one of [...processes].reverse()) await one.close();
  });

  const processOf = (index: number): EventsUnderTest => {
    const chosen = processes[index % processes.length];
    if (chosen === undefined) throw new Error("no process");
    return chosen;
  };

  async function makeProfiles(organizationId: OrganizationId): Promise<string[]> {
    const ids: string[] = [];
    for (let index = 0; index < PROFILES; index += 1) {
      const made = await repeat(() =>
        processOf(0).call(createProfile, { userId: `${index}` }, { organizationId }),
      );
      ids.push(made.profile?.id ?? "");
    }
    return ids;
  }

  interface Change {
    readonly organizationId: OrganizationId;
    readonly ids: readonly string[];
    readonly index: number;
  }
  type Stored = { readonly of: number; readonly id: string }[];

  /** Resolves to the reason of a rejection, or to the ids of stored events. */
  async function take(
    one: Step,
    change: Change,
  ): Promise<{ readonly reason: string | undefined; readonly stored: Stored }> {
    try {
      return { reason: undefined, stored: await repeat(() => send(one, change)) };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { reason: error.reason, stored: [] };
    }
  }

  async function send(one: Step, { organizationId, ids, index }: Change): Promise<Stored> {
    const events = processOf(index);
    const as = { organizationId };
    if (one.kind === "merge") {
      await events.call(mergeProfile, { profileId: ids[one.one] ?? "", into: ids[one.into] ?? "" }, as);
    } else if (one.kind === "unmerge") {
      await events.call(unmergeProfile, { profileId: ids[one.one] ?? "" }, as);
    } else if (one.kind === "update") {
      await events.call(updateProfile, { profileId: ids[one.one] ?? "", profile: { name: one.name } }, as);
    } else {
      const sent = one.of.map((of) => ({
        identity: { case: "userId" as const, value: `${of}` },
        name: "seen",
        timestamp: timestampFromMs(index),
      }));
      const { results } = await events.call(batchRecordEvents, { events: sent }, as);
      return results.map(({ id }, at) => ({ of: one.of[at] ?? 0, id: id ?? "" }));
    }
    return [];
  }

  /** Returns the listed events by root id. */
  async function listed(organizationId: OrganizationId): Promise<Map<string, string[]>> {
    const as = { organizationId };
    const { profiles } = await repeat(() => processOf(1).call(listProfiles, {}, as));
    const eventsByRoot = new Map<string, string[]>();
    for (const { id } of profiles) {
      const request = { profileId: id, pageSize: 500 };
      const page = await repeat(() => processOf(0).call(listEvents, request, as));
      eventsByRoot.set(id, page.events.map((event) => event.id).sort());
    }
    return eventsByRoot;
  }

  test(
    "sequential steps equal the model",
    async () => {
      await checkProperty(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const organizationId = newOrganization();
          const ends = await repeat(() => processOf(0).announcedEnds());
          const ids = await makeProfiles(organizationId);
          const model = new Model();
          for (const [index, one] of steps.entries()) {
            const { reason, stored } = await take(one, { organizationId, ids, index });
            if (one.kind === "merge") expect(reason).toBe(model.merge(one.one, one.into));
            else if (one.kind === "unmerge") expect(reason).toBe(model.unmerge(one.one));
            else expect(reason).toBeUndefined();
            model.events.push(...stored);
          }
          const expected = new Map<string, string[]>();
          for (const [index, id] of ids.entries()) if (model.rootOf(index) === index) expected.set(id, []);
          for (const { of, id } of model.events) expected.get(ids[model.rootOf(of)] ?? "")?.push(id);
          for (const own of expected.values()) own.sort();
          expect(await listed(organizationId)).toEqual(expected);
          for (const [index, id] of ids.entries()) {
            const { profile: shown } = await repeat(() =>
              processOf(0).call(getProfile, { profileId: id }, { organizationId }),
            );
            expect(shown?.id).toBe(ids[model.rootOf(index)]);
          }
          await expectConsistentRows(organizationId);
          expect(await messagesOfNonRoots(organizationId, ends)).toEqual([]);
        }),
        { numRuns: RUNS },
      );
    },
    propertyTimeoutMs(TIMEOUT_MS),
  );

  test(
    "concurrent steps keep a forest, and every event is stored and published once under its root",
    async () => {
      await checkProperty(
        fc.asyncProperty(fc.array(step, { minLength: 12, maxLength: 40 }), async (steps) => {
          const organizationId = newOrganization();
          const ends = await repeat(() => processOf(0).announcedEnds());
          const ids = await makeProfiles(organizationId);
          const [taken, scans] = await Promise.all([
            Promise.all(steps.map((one, index) => take(one, { organizationId, ids, index }))),
            Promise.all(ALL_SHARDS.map((shard) => repeat(() => scan(organizationId, shard)))),
          ]);
          for (const { reason } of taken) {
            expect([undefined, "FIELD_INVALID", "PROFILE_MERGED_BEFORE", "PROFILE_NOT_MERGED"]).toContain(
              reason,
            );
          }
          await expectConsistentRows(organizationId);
          const eventsByRoot = await listed(organizationId);
          const storedIds = taken.flatMap(({ stored }) => stored.map(({ id }) => id));
          expect([...eventsByRoot.values()].flat().sort()).toEqual(storedIds.sort());
          expect(await messagesOfNonRoots(organizationId, ends)).toEqual([]);
          for (const one of scans) await expectConsistentScan(organizationId, one, eventsByRoot);
          // Undoes all merges: every profile is complete again.
          for (const one of ids.keys()) {
            const { reason } = await take({ kind: "unmerge", one }, { organizationId, ids, index: 0 });
            expect([undefined, "PROFILE_NOT_MERGED"]).toContain(reason);
          }
          const apart = await listed(organizationId);
          expect([...apart.keys()].sort()).toEqual([...ids].sort());
          const own = Map.groupBy(
            taken.flatMap(({ stored }) => stored),
            ({ of }) => ids[of] ?? "",
          );
          for (const [id, events] of apart) {
            expect(events).toEqual((own.get(id) ?? []).map((event) => event.id).sort());
          }
        }),
        { numRuns: RUNS },
      );
    },
    propertyTimeoutMs(TIMEOUT_MS),
  );

  interface Scan {
    readonly shard: number;
    readonly position: bigint;
    readonly eventsByRoot: Map<string, Set<string>>;
  }
  async function scan(organizationId: OrganizationId, shard: number): Promise<Scan> {
    const eventsByRoot = new Map<string, Set<string>>();
    let position = 0n;
    const request = { organizationId: uuidToBytes(organizationId), shard, profileLimit: 1000 };
    for await (const { part } of processOf(shard).feed.scanProfileEvents(request)) {
      if (part.case === "snapshot") position = part.value.position;
      if (part.case !== "profile") continue;
      const id = bytesToUuid(part.value.profileId);
      const own = eventsByRoot.get(id) ?? new Set();
      for (const event of part.value.events) own.add(bytesToUuid(event.id));
      eventsByRoot.set(id, own);
    }
    return { shard, position, eventsByRoot };
  }

  /** A scan and the later messages are complete for every profile without a later rebuild. */
  async function expectConsistentScan(
    organizationId: OrganizationId,
    { shard, position, eventsByRoot }: Scan,
    expected: ReadonlyMap<string, readonly string[]>,
  ): Promise<void> {
    const own = uuidToBytes(organizationId);
    const rebuilt = new Set<string>();
    for (let after = position; ; ) {
      const request = { shard, afterPosition: after, limit: 1000 };
      const { envelopes } = await repeat(() => processOf(0).feed.readOutbox(request));
      if (envelopes.length === 0) break;
      for (const { type, data, position: at } of envelopes) {
        after = at;
        if (type.includes("tracked_event.recorded")) {
          for (const event of fromBinary(TrackedEventsRecordedSchema, data).events) {
            if (!own.equals(event.organizationId)) continue;
            const state = eventsByRoot.get(bytesToUuid(event.profileId));
            expect(state?.has(bytesToUuid(event.id)) ?? false).toBe(false);
            state?.add(bytesToUuid(event.id));
          }
        } else if (type.includes("profile.merged")) {
          const { organizationId: of, profileId, intoProfileId } = fromBinary(ProfileMergedSchema, data);
          if (own.equals(of)) for (const id of [profileId, intoProfileId]) rebuilt.add(bytesToUuid(id));
        } else if (type.includes("profile.unmerged")) {
          const { organizationId: of, profileId, fromProfileId } = fromBinary(ProfileUnmergedSchema, data);
          if (own.equals(of)) for (const id of [profileId, fromProfileId]) rebuilt.add(bytesToUuid(id));
        }
      }
    }
    for (const [id, events] of eventsByRoot)
      if (!rebuilt.has(id)) expect([...events].sort()).toEqual(expected.get(id));
    for (const id of expected.keys()) {
      if (shardOf(organizationId, id) === shard) expect(eventsByRoot.has(id) || rebuilt.has(id)).toBe(true);
    }
  }

  /** Roots, links and identities agree with the parents. */
  async function expectConsistentRows(organizationId: OrganizationId): Promise<void> {
    const db = processOf(0).database.reader;
    const organization = { organization_id: uuidToBytes(organizationId) };
    const rows: { profile_id: Buffer; parent_id: Buffer | null; root_id: Buffer | null }[] =
      await db("profiles").where(organization);
    const parents = new Map(
      rows.map((row) => [row.profile_id.toString("hex"), row.parent_id?.toString("hex")]),
    );
    const rootOf = (id: string, depth = 0): string => {
      if (depth > rows.length) throw new Error(`a ring through ${id}`);
      const parent = parents.get(id);
      return parent === undefined ? id : rootOf(parent, depth + 1);
    };
    const roots = new Map(
      rows.map((row) => [
        row.profile_id.toString("hex"),
        row.root_id?.toString("hex") ?? row.profile_id.toString("hex"),
      ]),
    );
    for (const [id, root] of roots) expect(root).toBe(rootOf(id));
    const identities: { profile_id: Buffer; root_id: Buffer | null }[] =
      await db("profile_identities").where(organization);
    expect(identities).toHaveLength(PROFILES);
    for (const { profile_id, root_id } of identities) {
      const id = profile_id.toString("hex");
      expect(root_id?.toString("hex") ?? id).toBe(roots.get(id));
    }
  }

  /**
   * Returns messages about a profile that is no root at the message's position: a consumer would count the
   * message for a profile that no longer exists.
   */
  async function messagesOfNonRoots(
    organizationId: OrganizationId,
    ends: readonly OutboxEnd[],
  ): Promise<string[]> {
    const { envelopes } = await repeat(() => processOf(0).announced(ends));
    const own = uuidToBytes(organizationId);
    const gone = new Set<string>();
    const wrong: string[] = [];
    const checkRoot = (envelope: Envelope, profileId: Uint8Array): void => {
      const id = bytesToUuid(profileId);
      if (shardOf(organizationId, id) !== envelope.shard || gone.has(id))
        wrong.push(`${envelope.type} of ${id}`);
    };
    for (const envelope of envelopes) {
      const { data, shard } = envelope;
      if (envelope.type.includes("tracked_event.recorded")) {
        for (const event of fromBinary(TrackedEventsRecordedSchema, data).events) {
          if (own.equals(event.organizationId)) checkRoot(envelope, event.profileId);
        }
      } else if (envelope.type.includes("profile.changed")) {
        const { profile: changed } = fromBinary(ProfileChangedSchema, data);
        if (changed !== undefined && own.equals(changed.organizationId))
          checkRoot(envelope, changed.profileId);
      } else if (envelope.type.includes("profile.merged")) {
        const merged = fromBinary(ProfileMergedSchema, data);
        if (!own.equals(merged.organizationId)) continue;
        const id = bytesToUuid(merged.profileId);
        if (shardOf(organizationId, id) === shard) gone.add(id);
      } else if (envelope.type.includes("profile.unmerged")) {
        const unmerged = fromBinary(ProfileUnmergedSchema, data);
        if (!own.equals(unmerged.organizationId)) continue;
        const id = bytesToUuid(unmerged.profileId);
        if (shardOf(organizationId, id) === shard) gone.delete(id);
      }
    }
    return wrong;
  }
});

/** Repeats a call that found the service busy, as a client does. */
async function repeat<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const isBusy = error instanceof AppError && error.reason === "UNAVAILABLE";
      if (!isBusy || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
