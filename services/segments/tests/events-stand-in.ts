// Stands in for the events service: a real outbox, and raw events in memory, so that a test decides what
// is committed when, and what a scan sees.
import { create, type DescMethod, type Message, toBinary } from "@bufbuild/protobuf";
import type { Bus } from "@muster/bus";
import {
  type BatchGetProfilesRequest,
  BatchGetProfilesResponseSchema,
  type BatchResolveProfilesRequest,
  BatchResolveProfilesResponseSchema,
  EventFeedService,
  GetPositionsResponseSchema,
  type ReadOutboxRequest,
  ReadOutboxResponseSchema,
  ReportFoldedResponseSchema,
  type SampleProfilesRequest,
  SampleProfilesResponseSchema,
  type ScanProfileEventsRequest,
  ScanProfileEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { TrackedEventsRecordedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import {
  bytesToUuid,
  type Clock,
  type IdSource,
  type OrganizationId,
  type ProfileId,
  shardOf,
  uuidToBytes,
} from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import { Outbox, type OutboxDraft } from "@muster/outbox";
import type { Caller } from "@muster/rpc";

const RECORDED = "muster.events.tracked_event.recorded.v1";

export interface TestEvent {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly name: string;
  readonly ms: number;
}

export interface RawEvent extends TestEvent {
  readonly id: string;
  readonly shard: number;
  readonly position: number;
}

export interface StandInOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export class EventsStandIn {
  readonly outbox: Outbox;
  readonly raw: RawEvent[] = [];
  readonly profiles = new Map<ProfileId, OrganizationId>();
  /** Called before each scan reads. */
  beforeScan: (shard: number) => Promise<void> = async () => {};
  /** Called before each answer of positions. */
  beforePositions: () => Promise<void> = async () => {};
  scans = 0;
  readonly #options: StandInOptions;

  constructor(options: StandInOptions) {
    this.#options = options;
    this.outbox = new Outbox({ ...options, service: "events", instanceId: "stand-in" });
  }

  /** Commits them, one message for each shard, and lets the bus know. */
  async submit(events: readonly TestEvent[]): Promise<void> {
    const byShard = new Map<number, TestEvent[]>();
    for (const event of events) {
      const shard = shardOf(event.organizationId, event.profileId);
      byShard.set(shard, [...(byShard.get(shard) ?? []), event]);
    }
    const shares = [...byShard].map(([shard, share]) => ({
      shard,
      share: share.map((event) => ({ ...event, id: this.#options.ids.next(event.ms) })),
    }));
    const receivedMs = this.#options.clock.nowMs();
    const positions = await this.#append(shares.map(({ shard, share }) => draftOf(shard, share, receivedMs)));
    for (const [index, { shard, share }] of shares.entries()) {
      for (const event of share) {
        this.profiles.set(event.profileId, event.organizationId);
        this.raw.push({ ...event, shard, position: positions[index] ?? 0 });
      }
    }
    await this.#announce(
      shares.map(({ shard }) => shard),
      positions,
    );
  }

  /** Commits a message that holds whatever `data` is, instead of the events that it records. */
  async submitSpoilt(events: readonly TestEvent[], data: Uint8Array): Promise<void> {
    for (const event of events) {
      const shard = shardOf(event.organizationId, event.profileId);
      const draft = { shard, type: RECORDED, data, items: 1, traceParent: "" };
      const positions = await this.#append([draft]);
      this.profiles.set(event.profileId, event.organizationId);
      this.raw.push({ ...event, id: this.#options.ids.next(event.ms), shard, position: positions[0] ?? 0 });
      await this.#announce([shard], positions);
    }
  }

  addProfile(organizationId: OrganizationId, profileId: ProfileId): void {
    this.profiles.set(profileId, organizationId);
  }

  readonly caller: Caller = {
    unary: async (method, request) => ({ message: await this.#answer(method, request), headers: new Map() }),
    stream: (_method, requests) => ({ messages: this.#scan(requests), headers: new Map() }),
  };

  async #append(drafts: readonly OutboxDraft[]): Promise<number[]> {
    return this.#options.database.transaction((trx) => this.outbox.append(trx, drafts));
  }

  async #announce(shards: readonly number[], positions: readonly number[]): Promise<void> {
    for (const [index, shard] of shards.entries()) {
      await this.#options.bus.publish(await this.outbox.read(shard, (positions[index] ?? 1) - 1, 1));
    }
  }

  async #answer(method: DescMethod, request: Message): Promise<Message> {
    switch (method) {
      case EventFeedService.method.getPositions: {
        await this.beforePositions();
        return create(GetPositionsResponseSchema, { positions: (await this.outbox.positions()).map(BigInt) });
      }
      case EventFeedService.method.readOutbox: {
        const { shard, afterPosition, limit } = request as ReadOutboxRequest;
        const envelopes = await this.outbox.read(shard, Number(afterPosition), limit);
        return create(ReadOutboxResponseSchema, { envelopes });
      }
      case EventFeedService.method.batchGetProfiles: {
        const { organizationId, profileIds } = request as BatchGetProfilesRequest;
        const ids = profileIds.map((id) => bytesToUuid<ProfileId>(id));
        const found = ids.filter((id) => this.profiles.get(id) === bytesToUuid(organizationId));
        const profiles = found.map((id) => ({ id, userId: userIdOf(id), traits: "{}" }));
        return create(BatchGetProfilesResponseSchema, { profiles });
      }
      case EventFeedService.method.batchResolveProfiles:
        return this.#resolve(request as BatchResolveProfilesRequest);
      case EventFeedService.method.sampleProfiles: {
        const { organizationId, shard, limit } = request as SampleProfilesRequest;
        const own = [...this.profiles].filter(([, owner]) => owner === bytesToUuid(organizationId));
        const ids = own.flatMap(([id, owner]) => (shardOf(owner, id) === shard ? [uuidToBytes(id)] : []));
        const profileCount = BigInt(own.length);
        return create(SampleProfilesResponseSchema, { profileCount, profileIds: ids.slice(0, limit) });
      }
      default:
        return create(ReportFoldedResponseSchema);
    }
  }

  /** The user id of a profile is what {@link userIdOf} makes of its id. */
  #resolve({ organizationId, userIds, profileIds }: BatchResolveProfilesRequest): Message {
    const own = [...this.profiles].filter(([, owner]) => owner === bytesToUuid(organizationId));
    const ids = new Set(own.map(([id]) => id));
    const users = own.map(([id]) => ({ userId: userIdOf(id), profileId: uuidToBytes(id) }));
    return create(BatchResolveProfilesResponseSchema, {
      users: users.filter(({ userId }) => userIds.includes(userId)),
      profileIds: profileIds.filter((id) => ids.has(bytesToUuid(id))),
    });
  }

  async *#scan(requests: AsyncIterable<Message>): AsyncIterable<Message> {
    for await (const message of requests) {
      const request = message as ScanProfileEventsRequest;
      this.scans += 1;
      await this.beforeScan(request.shard);
      yield* this.#answerScan(request);
    }
  }

  *#answerScan(request: ScanProfileEventsRequest): Iterable<Message> {
    const { shard, eventNames, profileLimit } = request;
    const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
    const wanted = new Set(request.profileIds.map((id) => bytesToUuid(id)));
    const after = request.afterProfileId.length === 0 ? "" : bytesToUuid(request.afterProfileId);
    const ids = [...this.profiles]
      .filter(([id, owner]) => owner === organizationId && shardOf(owner, id) === shard)
      .map(([id]) => id)
      .filter((id) => (wanted.size > 0 ? wanted.has(id) : id > after))
      .sort();
    const ofShard = this.raw.filter((event) => event.shard === shard);
    const position = Math.max(0, ...ofShard.map((event) => event.position));
    const page = ids.slice(0, profileLimit);

    const snapshot = { position: BigInt(position), more: ids.length > page.length };
    yield create(ScanProfileEventsResponseSchema, { part: { case: "snapshot", value: snapshot } });
    for (const profileId of page) {
      const events = ofShard
        .filter((event) => event.profileId === profileId && !request.withoutEvents)
        .filter(({ name }) => eventNames.length === 0 || eventNames.includes(name))
        .sort((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1));
      // In several parts, as a profile with many events comes.
      for (let start = 0; start === 0 || start < events.length; start += 2) {
        const run = events.slice(start, start + 2).map(({ id, name, ms }) => ({
          id: uuidToBytes(id),
          name,
          occurredMs: BigInt(ms),
          properties: "{}",
        }));
        const value = { profileId: uuidToBytes(profileId), events: run };
        yield create(ScanProfileEventsResponseSchema, { part: { case: "profile", value } });
      }
    }
  }
}

export function userIdOf(profileId: ProfileId): string {
  return `user of ${profileId}`;
}

function draftOf(
  shard: number,
  share: readonly (TestEvent & { readonly id: string })[],
  receivedMs: number,
): OutboxDraft {
  const message = create(TrackedEventsRecordedSchema, {
    events: share.map(({ organizationId, profileId, id, name, ms }) => ({
      organizationId: uuidToBytes(organizationId),
      profileId: uuidToBytes(profileId),
      id: uuidToBytes(id),
      name,
      occurredMs: BigInt(ms),
      receivedMs: BigInt(receivedMs),
      properties: "{}",
    })),
  });
  const data = toBinary(TrackedEventsRecordedSchema, message);
  return { shard, type: RECORDED, data, items: share.length, traceParent: "" };
}
