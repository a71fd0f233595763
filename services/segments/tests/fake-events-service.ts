// Fakes the events service with a real outbox and raw events in memory. Tests decide when each commit happens
// and what a scan returns.
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
  ReportAppliedResponseSchema,
  type ReportErasureRequest,
  ReportErasureResponseSchema,
  type SampleProfilesRequest,
  SampleProfilesResponseSchema,
  type ScanProfileEventsRequest,
  type ScanProfileEventsResponse,
  ScanProfileEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import {
  ProfileErasedSchema,
  ProfileMergedSchema,
  ProfileUnmergedSchema,
  TrackedEventsRecordedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import {
  bytesToUuid,
  type Clock,
  type IdSource,
  type OrganizationId,
  type ProfileId,
  shardOf,
  uuidToBytes,
  withTimeout,
} from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import { Outbox, type OutboxDraft } from "@muster/outbox";
import type { Caller } from "@muster/rpc";

const RECORDED = "muster.events.tracked_event.recorded.v1";
const MERGED = "muster.events.profile.merged.v1";
const UNMERGED = "muster.events.profile.unmerged.v1";
const ERASED = "muster.events.profile.erased.v1";

export interface TestEvent {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly name: string;
  readonly ms: number;
  /** A JSON object, by default empty. */
  readonly properties?: string;
}

/** A recorded event. The profile id stays the same after a merge. */
export interface RawEvent extends TestEvent {
  readonly id: string;
  readonly receivedMs: number;
  /** The shard and position of its message. */
  readonly shard: number;
  readonly position: number;
}

/** The deadline of a call without one. */
const DEADLINE_MS = 30_000;

export interface FakeEventsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export class FakeEventsService {
  readonly outbox: Outbox;
  readonly raw: RawEvent[] = [];
  readonly profiles = new Map<ProfileId, OrganizationId>();
  /** Received erasure reports. */
  readonly erasureReports: ReportErasureRequest[] = [];
  /** Called before each erasure report is accepted. */
  beforeErasureReport: () => Promise<void> = async () => {};
  /** By merged profile, the profile that it was merged into. */
  readonly #parents = new Map<ProfileId, ProfileId>();
  /** By shard, the last committed position. */
  readonly #committed = new Map<number, number>();
  /**
   * By organization, the retention horizon: scans leave out older events, while `raw` still contains them.
   */
  readonly #completeSince = new Map<OrganizationId, number>();
  /** Serializes commits, as identity versions do in the events service. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  /** Called before each scan is read. */
  beforeScan: (shard: number) => Promise<void> = async () => {};
  /** Called before each profile with events that a scan returns. */
  beforeProfile: (profileId: ProfileId) => Promise<void> = async () => {};
  /** Called after the snapshot of each scan is taken, before its first part is sent. */
  afterSnapshot: (shard: number) => Promise<void> = async () => {};
  /** Called before each response with positions. */
  beforePositions: () => Promise<void> = async () => {};
  scans = 0;
  /** The event names of each scan; undefined for a scan without events. */
  readonly scannedNames: (readonly string[] | undefined)[] = [];
  readonly #options: FakeEventsOptions;

  constructor(options: FakeEventsOptions) {
    this.#options = options;
    this.outbox = new Outbox({ ...options, service: "events", instanceId: "fake-events" });
  }

  /** Commits the events, in one message for each shard, and publishes the messages. */
  submit(events: readonly TestEvent[]): Promise<void> {
    return this.#serialize(async () => {
      const byShard = new Map<number, TestEvent[]>();
      for (const event of events) {
        const shard = shardOf(event.organizationId, this.rootOf(event.profileId));
        byShard.set(shard, [...(byShard.get(shard) ?? []), event]);
      }
      const shares = [...byShard].map(([shard, share]) => ({
        shard,
        share: share.map((event) => ({ ...event, id: this.#options.ids.next(event.ms) })),
      }));
      const receivedMs = this.#options.clock.nowMs();
      const drafts = shares.map(({ shard, share }) => {
        const announced = share.map((event) => ({ ...event, profileId: this.rootOf(event.profileId) }));
        return draftOf(shard, announced, receivedMs);
      });
      await this.#commit(drafts, (positions) => {
        for (const [index, { shard, share }] of shares.entries()) {
          for (const event of share) {
            this.profiles.set(event.profileId, event.organizationId);
            this.raw.push({ ...event, receivedMs, shard, position: positions[index] ?? 0 });
          }
        }
      });
    });
  }

  /** Commits a message with the given `data` in place of its events. */
  async submitCorrupt(events: readonly TestEvent[], data: Uint8Array): Promise<void> {
    for (const event of events) {
      const shard = shardOf(event.organizationId, event.profileId);
      const draft = { shard, type: RECORDED, data, items: 1, traceParent: "" };
      await this.#commit([draft], ([position = 0]) => {
        this.profiles.set(event.profileId, event.organizationId);
        const receivedMs = this.#options.clock.nowMs();
        this.raw.push({ ...event, id: this.#options.ids.next(event.ms), receivedMs, shard, position });
      });
    }
  }

  /** Removes events that were received and dated before the instant. Scans return it as `completeSinceMs`. */
  purge(organizationId: OrganizationId, completeSinceMs: number): void {
    this.#completeSince.set(organizationId, completeSinceMs);
  }

  /** The root profile. */
  rootOf(profileId: ProfileId): ProfileId {
    const parent = this.#parents.get(profileId);
    return parent === undefined ? profileId : this.rootOf(parent);
  }

  /** Merges the identities of two profiles. `data` replaces the announced message, if given. */
  merge(
    organizationId: OrganizationId,
    profileId: ProfileId,
    intoId: ProfileId,
    data?: Uint8Array,
  ): Promise<void> {
    return this.#serialize(async () => {
      const [ended, root] = [this.rootOf(profileId), this.rootOf(intoId)];
      if (ended === root) return;
      const message = create(ProfileMergedSchema, {
        organizationId: uuidToBytes(organizationId),
        profileId: uuidToBytes(ended),
        intoProfileId: uuidToBytes(root),
      });
      const shards = new Set([shardOf(organizationId, ended), shardOf(organizationId, root)]);
      await this.#commit(
        draftsFor(shards, MERGED, data ?? toBinary(ProfileMergedSchema, message)),
        () => void this.#parents.set(ended, root),
      );
    });
  }

  /** Separates a merged profile from its root, together with all profiles merged into it. */
  unmerge(organizationId: OrganizationId, profileId: ProfileId): Promise<void> {
    return this.#serialize(async () => {
      const root = this.rootOf(profileId);
      if (root === profileId) return;
      const message = create(ProfileUnmergedSchema, {
        organizationId: uuidToBytes(organizationId),
        profileId: uuidToBytes(profileId),
        fromProfileId: uuidToBytes(root),
      });
      const shards = new Set([shardOf(organizationId, profileId), shardOf(organizationId, root)]);
      await this.#commit(draftsFor(shards, UNMERGED, toBinary(ProfileUnmergedSchema, message)), () => {
        this.#parents.delete(profileId);
      });
    });
  }

  /** Returns the erasure's id and the profiles of the identity. */
  async erase(
    organizationId: OrganizationId,
    profileId: ProfileId,
  ): Promise<{ readonly erasureId: string; readonly profileIds: ProfileId[] }> {
    const erasureId = this.#options.ids.next(this.#options.clock.nowMs());
    let profileIds: ProfileId[] = [];
    await this.#serialize(async () => {
      const root = this.rootOf(profileId);
      profileIds = [...this.profiles.keys()].filter((id) => this.rootOf(id) === root);
      const drafts = profileIds.map((id) => {
        const message = create(ProfileErasedSchema, {
          organizationId: uuidToBytes(organizationId),
          profileId: uuidToBytes(id),
          erasureId: uuidToBytes(erasureId),
        });
        const data = toBinary(ProfileErasedSchema, message);
        return { shard: shardOf(organizationId, id), type: ERASED, data, items: 0, traceParent: "" };
      });
      await this.#commit(drafts, () => {
        const gone = new Set(profileIds);
        for (const id of gone) this.profiles.delete(id);
        for (const id of gone) this.#parents.delete(id);
        const kept = this.raw.filter((event) => !gone.has(event.profileId));
        this.raw.splice(0, this.raw.length, ...kept);
      });
    });
    return { erasureId, profileIds };
  }

  addProfile(organizationId: OrganizationId, profileId: ProfileId): void {
    this.profiles.set(profileId, organizationId);
  }

  readonly caller: Caller = {
    unary: async (method, request, { deadlineMs }) => {
      const { clock } = this.#options;
      const answer = this.#answer(method, request);
      const timeoutMs = (deadlineMs ?? clock.nowMs() + DEADLINE_MS) - clock.nowMs();
      const late = (): never => {
        throw new AppError("DEADLINE_EXCEEDED");
      };
      return { message: await withTimeout(clock, timeoutMs, answer, late), headers: new Map() };
    },
    stream: (_method, requests) => ({ messages: this.#scan(requests), headers: new Map() }),
  };

  #serialize<T>(body: () => Promise<T>): Promise<T> {
    const own = this.#lastTurn.then(body);
    this.#lastTurn = own.catch(() => {});
    return own;
  }

  /** Appends the messages. `take` updates the state in memory as soon as the positions are known. */
  async #commit(drafts: readonly OutboxDraft[], onCommitted: (positions: number[]) => void): Promise<void> {
    const positions = await this.#options.database.transaction((trx) => this.outbox.append(trx, drafts));
    onCommitted(positions);
    for (const [index, { shard }] of drafts.entries()) this.#committed.set(shard, positions[index] ?? 0);
    for (const [index, { shard }] of drafts.entries()) {
      await this.#options.bus.publish(await this.outbox.read(shard, (positions[index] ?? 1) - 1, 1));
    }
  }

  /** Root profiles of the organization. */
  #roots(organizationId: Uint8Array): ProfileId[] {
    const owner = bytesToUuid<OrganizationId>(organizationId);
    const own = [...this.profiles].filter(([, organization]) => organization === owner);
    return own.map(([id]) => id).filter((id) => this.rootOf(id) === id);
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
        const roots = new Set(found.map((id) => this.rootOf(id)));
        const profiles = [...roots].map((id) => ({ id, userId: userIdOf(id), traits: "{}" }));
        return create(BatchGetProfilesResponseSchema, { profiles });
      }
      case EventFeedService.method.batchResolveProfiles:
        return this.#resolve(request as BatchResolveProfilesRequest);
      case EventFeedService.method.sampleProfiles: {
        const { organizationId, shard, limit } = request as SampleProfilesRequest;
        const owner = bytesToUuid<OrganizationId>(organizationId);
        const own = this.#roots(organizationId);
        const ids = own.flatMap((id) => (shardOf(owner, id) === shard ? [uuidToBytes(id)] : []));
        const profileCount = BigInt(own.length);
        return create(SampleProfilesResponseSchema, { profileCount, profileIds: ids.slice(0, limit) });
      }
      case EventFeedService.method.reportErasure: {
        await this.beforeErasureReport();
        this.erasureReports.push(request as ReportErasureRequest);
        return create(ReportErasureResponseSchema);
      }
      default:
        return create(ReportAppliedResponseSchema);
    }
  }

  /** The user id of a profile is {@link userIdOf} of its id. */
  #resolve({ organizationId, userIds, profileIds }: BatchResolveProfilesRequest): Message {
    const own = [...this.profiles].filter(([, owner]) => owner === bytesToUuid(organizationId));
    const ids = new Set(own.map(([id]) => id));
    const users = own.map(([id]) => ({ userId: userIdOf(id), profileId: uuidToBytes(this.rootOf(id)) }));
    const known = profileIds.filter((id) => ids.has(bytesToUuid(id)));
    return create(BatchResolveProfilesResponseSchema, {
      users: users.filter(({ userId }) => userIds.includes(userId)),
      profileIds: known,
      rootIds: known.map((id) => uuidToBytes(this.rootOf(bytesToUuid(id)))),
    });
  }

  async *#scan(requests: AsyncIterable<Message>): AsyncIterable<Message> {
    for await (const message of requests) {
      const request = message as ScanProfileEventsRequest;
      this.scans += 1;
      this.scannedNames.push(request.withoutEvents ? undefined : request.eventNames);
      await this.beforeScan(request.shard);
      const parts = [...this.#answerScan(request)];
      await this.afterSnapshot(request.shard);
      for (const message of parts) {
        const { part } = message;
        if (part.case === "profile") await this.beforeProfile(bytesToUuid(part.value.profileId));
        yield message;
      }
    }
  }

  *#answerScan(request: ScanProfileEventsRequest): Iterable<ScanProfileEventsResponse> {
    const { shard, eventNames, profileLimit } = request;
    const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
    const wanted = new Set(request.profileIds.map((id) => bytesToUuid(id)));
    const after = request.afterProfileId.length === 0 ? "" : bytesToUuid(request.afterProfileId);
    const ids = this.#roots(request.organizationId)
      .filter((id) => shardOf(organizationId, id) === shard)
      .filter((id) => (wanted.size > 0 ? wanted.has(id) : id > after))
      .sort();
    const position = this.#committed.get(shard) ?? 0;
    const page = ids.slice(0, profileLimit);

    const completeSinceMs = this.#completeSince.get(organizationId) ?? 0;
    const snapshot = {
      position: BigInt(position),
      more: ids.length > page.length,
      completeSinceMs: BigInt(completeSinceMs),
    };
    yield create(ScanProfileEventsResponseSchema, { part: { case: "snapshot", value: snapshot } });
    for (const profileId of page) {
      const events = this.raw
        .filter((event) => this.rootOf(event.profileId) === profileId && !request.withoutEvents)
        .filter(({ receivedMs, ms }) => Math.max(receivedMs, ms) >= completeSinceMs)
        .filter(({ name }) => eventNames.length === 0 || eventNames.includes(name))
        .sort((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1));
      if (request.profileEventsMax > 0 && events.length > request.profileEventsMax) {
        const value = uuidToBytes(profileId);
        yield create(ScanProfileEventsResponseSchema, { part: { case: "longProfileId", value } });
        return;
      }
      // A profile with many events comes in several parts.
      for (let start = 0; start === 0 || start < events.length; start += 2) {
        const run = events.slice(start, start + 2).map(({ id, name, ms, properties = "{}" }) => ({
          id: uuidToBytes(id),
          name,
          occurredMs: BigInt(ms),
          properties,
        }));
        const value = { profileId: uuidToBytes(profileId), events: run };
        yield create(ScanProfileEventsResponseSchema, { part: { case: "profile", value } });
      }
    }
  }
}

function draftsFor(shards: ReadonlySet<number>, type: string, data: Uint8Array): OutboxDraft[] {
  return [...shards].map((shard) => ({ shard, type, data, items: 0, traceParent: "" }));
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
    events: share.map(({ organizationId, profileId, id, name, ms, properties = "{}" }) => ({
      organizationId: uuidToBytes(organizationId),
      profileId: uuidToBytes(profileId),
      id: uuidToBytes(id),
      name,
      occurredMs: BigInt(ms),
      receivedMs: BigInt(receivedMs),
      properties,
    })),
  });
  const data = toBinary(TrackedEventsRecordedSchema, message);
  return { shard, type: RECORDED, data, items: share.length, traceParent: "" };
}
