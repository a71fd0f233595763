// What this service asks of the events service, in its own words.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  EventFeedService,
  type ScannedEvent,
  type ScannedProfile,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { bytesToUuid, type Clock, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import type { FoldedShard, ProducerPort } from "@muster/outbox";
import { type Caller, type Client, type ClientCallOptions, createClient } from "@muster/rpc";

interface ErasedProfile {
  readonly organizationId: OrganizationId;
  readonly erasureId: string;
  readonly profileId: ProfileId;
}

/** A scan that takes longer is given up, for its shards stand still meanwhile; a smaller one follows. */
const SCAN_TIMEOUT_MS = 60_000;

export interface ScanRequest {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profiles:
    | { readonly after: ProfileId; readonly limit: number }
    | { readonly ids: readonly ProfileId[] };
  /** Empty means all. */
  readonly eventNames: readonly string[];
  /** The profiles alone. */
  readonly withoutEvents?: boolean;
}

export interface Scan {
  /** The shard's position that the scan is a snapshot of. */
  readonly position: number;
  readonly more: boolean;
  /** All that came or happened from then on is there; 0: all there ever was. */
  readonly completeSinceMs: number;
}

export interface ResolvedPersons {
  readonly users: ReadonlyMap<string, ProfileId>;
  readonly profiles: ReadonlyMap<string, ProfileId>;
}

export class EventsFeed implements ProducerPort {
  readonly #client: Client<typeof EventFeedService>;
  readonly #clock: Clock;

  constructor(caller: Caller, clock: Clock) {
    this.#client = createClient(EventFeedService, caller);
    this.#clock = clock;
  }

  async read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]> {
    const answer = await this.#client.readOutbox({ shard, afterPosition: BigInt(afterPosition), limit });
    return answer.envelopes;
  }

  async reportFolded(consumer: string, shards: readonly FoldedShard[]): Promise<void> {
    await this.#client.reportFolded({
      consumer,
      shards: shards.map(({ shard, position, itemsThrough }) => ({
        shard,
        position: BigInt(position),
        itemsThrough: BigInt(itemsThrough),
      })),
    });
  }

  /** The last committed position of every shard. */
  async positions(options: ClientCallOptions): Promise<number[]> {
    const answer = await this.#client.getPositions({}, options);
    return answer.positions.map(Number);
  }

  /** Those that stand for persons, by id. */
  async profiles(
    organizationId: OrganizationId,
    profileIds: readonly ProfileId[],
    options: ClientCallOptions,
  ): Promise<Map<string, Profile>> {
    if (profileIds.length === 0) return new Map();
    const request = {
      organizationId: uuidToBytes(organizationId),
      profileIds: profileIds.map(uuidToBytes),
    };
    const answer = await this.#client.batchGetProfiles(request, options);
    return new Map(answer.profiles.map((profile) => [profile.id, profile]));
  }

  /** Whose the user ids and the profile ids are, by the profiles that stand for the persons. */
  async resolve(
    organizationId: OrganizationId,
    {
      userIds,
      profileIds,
    }: { readonly userIds: readonly string[]; readonly profileIds: readonly ProfileId[] },
    options: ClientCallOptions,
  ): Promise<ResolvedPersons> {
    const request = {
      organizationId: uuidToBytes(organizationId),
      userIds: [...userIds],
      profileIds: profileIds.map(uuidToBytes),
    };
    const answer = await this.#client.batchResolveProfiles(request, options);
    return {
      users: new Map(answer.users.map((user) => [user.userId, bytesToUuid<ProfileId>(user.profileId)])),
      profiles: new Map(
        answer.profileIds.map((id, index) => [
          bytesToUuid(id),
          bytesToUuid<ProfileId>(answer.rootIds[index] ?? id),
        ]),
      ),
    };
  }

  /** What is no longer kept of one of an erased person's profiles, by place. Repeating it changes nothing. */
  async reportErasure(
    { organizationId, erasureId, profileId }: ErasedProfile,
    places: Readonly<Record<string, number>>,
  ): Promise<void> {
    await this.#client.reportErasure({
      organizationId: uuidToBytes(organizationId),
      erasureId: uuidToBytes(erasureId),
      profileId: uuidToBytes(profileId),
      places: Object.entries(places).map(([place, count]) => ({ place, count: BigInt(count) })),
    });
  }

  /** How many profiles there are, and at most `limit` of a shard's at random. */
  async sample(
    organizationId: OrganizationId,
    of: { readonly shard: number; readonly limit: number; readonly seed: number },
    options: ClientCallOptions,
  ): Promise<{ readonly profileCount: number; readonly profileIds: ProfileId[] }> {
    const request = { organizationId: uuidToBytes(organizationId), ...of, seed: BigInt(of.seed) };
    const { profileCount, profileIds } = await this.#client.sampleProfiles(request, options);
    return {
      profileCount: Number(profileCount),
      profileIds: profileIds.map((id) => bytesToUuid<ProfileId>(id)),
    };
  }

  /** Hands every profile of the scan to `onEvents`, in order of id, perhaps in several runs of events. */
  async scan(
    request: ScanRequest,
    onEvents: (profileId: ProfileId, events: readonly ScannedEvent[], profile: ScannedProfile) => void,
    options: ClientCallOptions = {},
  ): Promise<Scan> {
    const { profiles } = request;
    const page =
      "ids" in profiles
        ? { profileIds: profiles.ids.map(uuidToBytes), profileLimit: profiles.ids.length }
        : { afterProfileId: uuidToBytes(profiles.after), profileLimit: profiles.limit };
    const answers = this.#client.scanProfileEvents(
      {
        organizationId: uuidToBytes(request.organizationId),
        shard: request.shard,
        eventNames: [...request.eventNames],
        withoutEvents: request.withoutEvents ?? false,
        ...page,
      },
      { deadlineMs: this.#clock.nowMs() + SCAN_TIMEOUT_MS, ...options },
    );
    let scan: Scan | undefined;
    for await (const { part } of answers) {
      if (part.case === "snapshot") {
        const { position, more, completeSinceMs } = part.value;
        scan = { position: Number(position), more, completeSinceMs: Number(completeSinceMs) };
      } else if (part.case === "profile") {
        onEvents(bytesToUuid<ProfileId>(part.value.profileId), part.value.events, part.value);
      }
    }
    if (scan === undefined) {
      throw new AppError("UNAVAILABLE", { cause: new Error("a scan of events ended before it began") });
    }
    return scan;
  }
}
