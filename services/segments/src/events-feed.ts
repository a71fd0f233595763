// What this service asks of the events service, in its own words.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  EventFeedService,
  type ScannedEvent,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { bytesToUuid, type Clock, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import type { FoldedShard, ProducerPort } from "@muster/outbox";
import { type Caller, type Client, type ClientCallOptions, createClient } from "@muster/rpc";

/** A scan that takes longer is given up, for its shards stand still meanwhile; a smaller one follows. */
const SCAN_TIMEOUT_MS = 60_000;

export interface ScanRequest {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profiles:
    | { readonly after: ProfileId; readonly limit: number }
    | { readonly ids: readonly ProfileId[] };
  /** At least one. */
  readonly eventNames: readonly string[];
}

export interface Scan {
  /** The shard's position that the scan is a snapshot of. */
  readonly position: number;
  readonly more: boolean;
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

  /** Those that exist, by id. */
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

  /** Hands every profile of the scan to `onEvents`, in order of id, perhaps in several runs of events. */
  async scan(
    request: ScanRequest,
    onEvents: (profileId: ProfileId, events: readonly ScannedEvent[]) => void,
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
        ...page,
      },
      { deadlineMs: this.#clock.nowMs() + SCAN_TIMEOUT_MS },
    );
    let scan: Scan | undefined;
    for await (const { part } of answers) {
      if (part.case === "snapshot") {
        scan = { position: Number(part.value.position), more: part.value.more };
      } else if (part.case === "profile") {
        onEvents(bytesToUuid<ProfileId>(part.value.profileId), part.value.events);
      }
    }
    if (scan === undefined) {
      throw new AppError("UNAVAILABLE", { cause: new Error("a scan of events ended before it began") });
    }
    return scan;
  }
}
