// ScanProfileEvents: a page of a shard's profiles with their raw events, in one snapshot that also says
// the shard's position: the events are exactly those announced up to it.
import { create } from "@bufbuild/protobuf";
import {
  type EventFeedService,
  type ScannedEvent,
  ScannedEventSchema,
  type ScanProfileEventsRequest,
  type ScanProfileEventsResponse,
  ScanProfileEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, shardOf, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import { invalidField } from "@muster/errors";
import { readPositions } from "@muster/outbox/outbox-store";
import type { ServerStreamHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { Profile } from "../profiles/profile.ts";
import { getProfiles, listShardProfiles } from "../profiles/profile-store.ts";
import { readCompleteSince } from "../retention/retention-store.ts";
import { type EventRow, type ScanCursor, scanEvents } from "../tracked-events/event-store.ts";
import { handOff } from "./handoff.ts";

/** Of one part of the stream. */
const PART_BYTES_MAX = 256 * 1024;
/** Events of one statement; fewer where they are large. */
const STATEMENT_EVENTS_MAX = 1000;
const STATEMENT_BYTES_AIM = 4 * 1024 * 1024;
/** A longer list of names is compared here, not by the database. */
const STATEMENT_NAMES_MAX = 500;

type Put = (part: ScanProfileEventsResponse) => Promise<void>;

export function scanProfileEvents(
  deps: EventsDeps,
): ServerStreamHandler<typeof EventFeedService.method.scanProfileEvents> {
  return (request, context) => {
    checkIds(request);
    return handOff<ScanProfileEventsResponse>(context.signal, (put) =>
      deps.database.snapshot((trx) => scan(trx, request, put)),
    );
  };
}

function checkIds({ profileIds, afterProfileId }: ScanProfileEventsRequest): void {
  if (profileIds.some((id) => id.byteLength !== 16))
    throw invalidField("profile_ids", "must be of 16 bytes each");
  if (![0, 16].includes(afterProfileId.byteLength)) {
    throw invalidField("after_profile_id", "must be empty or of 16 bytes");
  }
}

async function scan(trx: Transaction, request: ScanProfileEventsRequest, put: Put): Promise<void> {
  // First of all, for the snapshot begins here.
  const position = (await readPositions(trx))[request.shard] ?? 0;
  const { profiles, more } = await readProfiles(trx, request);
  const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
  const completeSinceMs = BigInt(await readCompleteSince(trx, organizationId));
  await put(
    create(ScanProfileEventsResponseSchema, {
      part: { case: "snapshot", value: { position: BigInt(position), more, completeSinceMs } },
    }),
  );
  const parts = new PartWriter(profiles, put);
  const filter = namesFilter(request.eventNames);
  if (!request.withoutEvents) {
    await readEvents(trx, organizationId, profiles, filter.inStatement, async (row) => {
      if (filter.accepts(row)) await parts.add(row);
    });
  }
  await parts.finish();
}

async function readProfiles(
  trx: Transaction,
  request: ScanProfileEventsRequest,
): Promise<{ profiles: Profile[]; more: boolean }> {
  const { shard, profileLimit, afterProfileId } = request;
  const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
  const after = afterProfileId.byteLength === 16 ? afterProfileId : undefined;
  let profiles: Profile[];
  if (request.profileIds.length > 0) {
    profiles = (await getProfiles(trx, organizationId, request.profileIds)).filter(
      ({ id }) =>
        shardOf(organizationId, id) === shard &&
        (after === undefined || Buffer.compare(uuidToBytes(id), after) > 0),
    );
  } else {
    profiles = await listShardProfiles(trx, organizationId, shard, after, profileLimit + 1);
  }
  return { profiles: profiles.slice(0, profileLimit), more: profiles.length > profileLimit };
}

function namesFilter(eventNames: readonly string[]) {
  const isShort = eventNames.length <= STATEMENT_NAMES_MAX;
  const names = new Set(eventNames);
  return {
    inStatement: isShort ? Array.from(names, (name) => Buffer.from(name)) : [],
    accepts: (row: EventRow): boolean => isShort || names.has(row.name.toString()),
  };
}

/** All the profiles' events, in order; never more in memory than one statement's worth. */
async function readEvents(
  trx: Transaction,
  organizationId: OrganizationId,
  profiles: readonly Profile[],
  names: readonly Buffer[],
  take: (row: EventRow) => Promise<void>,
): Promise<void> {
  let profileIds = profiles.map(({ id }) => uuidToBytes(id));
  let after: ScanCursor | undefined;
  let limit = STATEMENT_EVENTS_MAX;
  while (profileIds.length > 0 || after !== undefined) {
    const rows = await scanEvents(trx, organizationId, after ? { after } : { profileIds }, names, limit);
    let bytes = 0;
    for (const row of rows) {
      bytes += row.properties.length;
      await take(row);
    }
    const last = rows.at(-1);
    if (rows.length < limit || last === undefined) {
      // Done with the cursor's profile, or with all of them.
      if (after === undefined) return;
      after = undefined;
    } else {
      after = { profileId: last.profile_id, occurredMs: Number(last.occurred_ms), eventId: last.event_id };
      profileIds = profileIds.filter((id) => Buffer.compare(id, last.profile_id) > 0);
    }
    const perRow = bytes / Math.max(1, rows.length);
    limit = Math.max(32, Math.min(STATEMENT_EVENTS_MAX, Math.floor(STATEMENT_BYTES_AIM / (perRow + 1))));
  }
}

/** Groups rows, which come by profile, into parts of bounded size; profiles without events count too. */
class PartWriter {
  readonly #profiles: readonly Profile[];
  readonly #put: Put;
  #index = 0;
  #events: ScannedEvent[] = [];
  #bytes = 0;

  constructor(profiles: readonly Profile[], put: Put) {
    this.#profiles = profiles;
    this.#put = put;
  }

  async add(row: EventRow): Promise<void> {
    const id = row.profile_id.toString("hex");
    while (this.#currentHex() !== id) await this.#next();
    if (this.#bytes > 0 && this.#bytes + row.properties.length > PART_BYTES_MAX) await this.#flush();
    const event = create(ScannedEventSchema);
    event.id = row.event_id;
    event.name = row.name.toString();
    event.occurredMs = BigInt(row.occurred_ms);
    event.properties = row.properties;
    this.#events.push(event);
    this.#bytes += row.properties.length + row.name.length + 64;
  }

  async finish(): Promise<void> {
    while (this.#index < this.#profiles.length) await this.#next();
  }

  #currentHex(): string | undefined {
    return this.#profiles[this.#index]?.id.replaceAll("-", "");
  }

  async #next(): Promise<void> {
    await this.#flush();
    this.#index += 1;
  }

  async #flush(): Promise<void> {
    const profile = this.#profiles[this.#index];
    if (profile === undefined) throw new Error("an event of no scanned profile");
    const value = {
      profileId: uuidToBytes(profile.id),
      createTimeMs: BigInt(profile.createMs),
      traits: profile.traits,
      events: this.#events,
    };
    this.#events = [];
    this.#bytes = 0;
    await this.#put(create(ScanProfileEventsResponseSchema, { part: { case: "profile", value } }));
  }
}
