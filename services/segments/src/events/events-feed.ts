// Calls the events service with the types of this service.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  EventFeedService,
  type ScannedEvent,
  type ScannedProfile,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { bytesToUuid, type Clock, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import type { AppliedShard, ProducerPort } from "@muster/outbox";
import { type Caller, type Client, type ClientCallOptions, createClient } from "@muster/rpc";

/** One profile of an erasure. */
interface ErasedProfile {
  readonly organizationId: OrganizationId;
  readonly erasureId: string;
  readonly profileId: ProfileId;
}

/** A longer scan is aborted, because its shards wait for it. The next one is smaller. */
const SCAN_TIMEOUT_MS = 60_000;

/** One scan: a range of profiles by id, or single profiles. */
/** The header of a scan. */
export interface ScanRequest {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profiles:
    | { readonly after: ProfileId; readonly limit: number }
    | { readonly ids: readonly ProfileId[] };
  /** Empty means all events. */
  readonly eventNames: readonly string[];
  /** Returns the profiles without their events. */
  readonly withoutEvents?: boolean;
  /** Ends the scan before the first profile with more events. */
  readonly profileEventsMax?: number | undefined;
}

export interface Scan {
  /** The shard's position of the snapshot. */
  readonly position: number;
  /** Whether more profiles follow. */
  readonly more: boolean;
  /** Events received or dated from this instant on are complete; 0 means all events. */
  readonly completeSinceMs: number;
  /** The profile with too many events, at which the scan has ended. */
  readonly longProfileId?: ProfileId | undefined;
}

/** Root profiles, by tracked user id and by profile id. */
export interface ResolvedProfiles {
  readonly users: ReadonlyMap<string, ProfileId>;
  readonly profiles: ReadonlyMap<string, ProfileId>;
}

/** The client of `EventFeedService`. */
export class EventsFeed implements ProducerPort {
  readonly #client: Client<typeof EventFeedService>;
  readonly #clock: Clock;

  constructor(caller: Caller, clock: Clock) {
    this.#client = createClient(EventFeedService, caller);
    this.#clock = clock;
  }

  /** Messages of the shard's outbox after a position, at most `limit`. */
  async read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]> {
    const response = await this.#client.readOutbox({ shard, afterPosition: BigInt(afterPosition), limit });
    return response.envelopes;
  }

  async reportApplied(consumer: string, shards: readonly AppliedShard[]): Promise<void> {
    await this.#client.reportApplied({
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
    const response = await this.#client.getPositions({}, options);
    return response.positions.map(Number);
  }

  /** Root profiles among the given ones, by id. */
  async profiles(
    organizationId: OrganizationId,
    profileIds: readonly ProfileId[],
    options: ClientCallOptions,
  ): Promise<Map<string, Profile>> {
    const found = new Map<string, Profile>();
    // A response of bounded size may leave ids for the next request.
    for (let left: Uint8Array[] = profileIds.map(uuidToBytes); left.length > 0; ) {
      const request = { organizationId: uuidToBytes(organizationId), profileIds: left };
      const response = await this.#client.batchGetProfiles(request, options);
      for (const profile of response.profiles) found.set(profile.id, profile);
      left = response.leftProfileIds;
    }
    return found;
  }

  /** Resolves tracked user ids and profile ids to root profiles. Unknown ids are missing. */
  async resolve(
    organizationId: OrganizationId,
    {
      userIds,
      profileIds,
    }: { readonly userIds: readonly string[]; readonly profileIds: readonly ProfileId[] },
    options: ClientCallOptions,
  ): Promise<ResolvedProfiles> {
    const request = {
      organizationId: uuidToBytes(organizationId),
      userIds: [...userIds],
      profileIds: profileIds.map(uuidToBytes),
    };
    const response = await this.#client.batchResolveProfiles(request, options);
    return {
      users: new Map(response.users.map((user) => [user.userId, bytesToUuid<ProfileId>(user.profileId)])),
      profiles: new Map(
        response.profileIds.map((id, index) => [
          bytesToUuid(id),
          bytesToUuid<ProfileId>(response.rootIds[index] ?? id),
        ]),
      ),
    };
  }

  /** Reports removed counts of one erased profile, by location. Repeating the call changes nothing. */
  async reportErasure(
    { organizationId, erasureId, profileId }: ErasedProfile,
    locations: Readonly<Record<string, number>>,
  ): Promise<void> {
    await this.#client.reportErasure({
      organizationId: uuidToBytes(organizationId),
      erasureId: uuidToBytes(erasureId),
      profileId: uuidToBytes(profileId),
      locations: Object.entries(locations).map(([location, count]) => ({ location, count: BigInt(count) })),
    });
  }

  /** The number of profiles of the organization, and at most `limit` random ones of a shard. */
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

  /**
   * Calls `onEvents` for every profile of the scan, in order of id. A profile with many events comes in
   * several calls. The scan waits for the promise of a call.
   */
  async scan(
    request: ScanRequest,
    onEvents: (
      profileId: ProfileId,
      events: readonly ScannedEvent[],
      profile: ScannedProfile,
    ) => void | Promise<void>,
    options: ClientCallOptions = {},
  ): Promise<Scan> {
    const { profiles } = request;
    const page =
      "ids" in profiles
        ? { profileIds: profiles.ids.map(uuidToBytes), profileLimit: profiles.ids.length }
        : { afterProfileId: uuidToBytes(profiles.after), profileLimit: profiles.limit };
    const responses = this.#client.scanProfileEvents(
      {
        organizationId: uuidToBytes(request.organizationId),
        shard: request.shard,
        eventNames: [...request.eventNames],
        withoutEvents: request.withoutEvents ?? false,
        profileEventsMax: request.profileEventsMax ?? 0,
        ...page,
      },
      { deadlineMs: this.#clock.nowMs() + SCAN_TIMEOUT_MS, ...options },
    );
    let scan: Scan | undefined;
    for await (const { part } of responses) {
      if (part.case === "snapshot") {
        const { position, more, completeSinceMs } = part.value;
        scan = { position: Number(position), more, completeSinceMs: Number(completeSinceMs) };
      } else if (part.case === "profile") {
        const { profileId, events } = part.value;
        const taken = onEvents(bytesToUuid<ProfileId>(profileId), events, part.value);
        if (taken !== undefined) await taken;
      } else if (part.case === "longProfileId" && scan !== undefined) {
        scan = { ...scan, more: true, longProfileId: bytesToUuid<ProfileId>(part.value) };
      }
    }
    if (scan === undefined) {
      throw new AppError("UNAVAILABLE", { cause: new Error("a scan of events ended without a snapshot") });
    }
    return scan;
  }
}
