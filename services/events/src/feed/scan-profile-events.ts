// ScanProfileEvents streams a page of a shard's root profiles with their raw events. One snapshot also
// supplies the shard's position: the events are exactly those published up to this position, in this shard
// or, before a merge, in another shard.
import { create } from "@bufbuild/protobuf";
import {
  type EventFeedService,
  type ScannedEvent,
  ScannedEventSchema,
  type ScanProfileEventsRequest,
  type ScanProfileEventsResponse,
  ScanProfileEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, chunksOf, type OrganizationId, shardOf, uuidToBytes, WorkBudget } from "@muster/core";
import { IN_LIST_VALUES_MAX, type Transaction } from "@muster/db";
import { invalidField } from "@muster/errors";
import { readPositions } from "@muster/outbox";
import type { ServerStreamHandler } from "@muster/rpc";
import { countEvents, type EventRow } from "../event-storage/event-store.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile, groupProfileIds } from "../identity-graph/profile-group.ts";
import type { Profile, StoredProfile } from "../profile-storage/profile.ts";
import { getProfiles, listShardProfiles } from "../profile-storage/profile-store.ts";
import { readCompleteSince } from "../retention/retention-store.ts";
import { callbackStream } from "./callback-stream.ts";
import { readProfileEvents, type ScanTarget } from "./read-profile-events.ts";

/** Maximum size of a part of the stream. */
const PART_BYTES_MAX = 64 * 1024;
/** Maximum number of roots whose merged profiles are in memory at once. */
const ROOTS_AT_ONCE = 100;
/** Maximum number of event names in a statement. A longer list is filtered in memory. */
const STATEMENT_NAMES_MAX = 500;

/** Estimated processor time to read a row and a profile, in units of a budget. */
const ROW_UNITS = 8;
const PROFILE_UNITS = 10;

type Emit = (part: ScanProfileEventsResponse) => Promise<void>;

export function scanProfileEvents(
  deps: EventsDeps,
): ServerStreamHandler<typeof EventFeedService.method.scanProfileEvents> {
  return (request, context) => {
    checkIds(request);
    return callbackStream<ScanProfileEventsResponse>(context.signal, (emit) =>
      deps.database.snapshot((trx) => {
        // An embedded database never waits, so that a scan would hold the process. The snapshot blocks no writer.
        const budget = WorkBudget.inSlices({ clock: deps.clock, signal: context.signal });
        return scan(trx, request, { emit, budget });
      }),
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

interface ScanOutput {
  readonly emit: Emit;
  readonly budget: WorkBudget;
}

async function scan(
  trx: Transaction,
  request: ScanProfileEventsRequest,
  { emit, budget }: ScanOutput,
): Promise<void> {
  // Must be the first statement, because the snapshot begins here.
  const position = (await readPositions(trx))[request.shard] ?? 0;
  const { targets, more } = await readTargets(trx, request, budget);
  const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
  const completeSinceMs = BigInt(await readCompleteSince(trx, organizationId));
  await emit(
    create(ScanProfileEventsResponseSchema, {
      part: { case: "snapshot", value: { position: BigInt(position), more, completeSinceMs } },
    }),
  );
  const parts = new PartWriter(
    targets.map(({ profile }) => profile),
    emit,
  );
  const filter = namesFilter(request.eventNames);
  let long: Profile | undefined;
  if (!request.withoutEvents) {
    await readProfileEvents(trx, organizationId, targets, filter.inStatement, {
      async onEvent(target, row) {
        budget.spend(ROW_UNITS);
        if (budget.isSliceOver) await budget.turn();
        if (filter.accepts(row)) await parts.add(target.profile, row);
      },
      async endsBefore(target) {
        const isLong = await hasMoreEvents(trx, organizationId, target, request.profileEventsMax);
        if (isLong) long = target.profile;
        return isLong;
      },
    });
  }
  await parts.finish(long);
}

/** Whether the target has more events than the maximum; 0 means no maximum. */
async function hasMoreEvents(
  trx: Transaction,
  organizationId: OrganizationId,
  { profileIds }: ScanTarget,
  max: number,
): Promise<boolean> {
  if (max === 0) return false;
  let count = 0;
  for (const ids of chunksOf(profileIds, IN_LIST_VALUES_MAX)) {
    count += await countEvents(trx, organizationId, ids.map(uuidToBytes), max + 1 - count);
    if (count > max) return true;
  }
  return false;
}

async function readTargets(
  trx: Transaction,
  request: ScanProfileEventsRequest,
  budget: WorkBudget,
): Promise<{ targets: ScanTarget[]; more: boolean }> {
  const { profileLimit } = request;
  const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
  const roots = await readRoots(trx, organizationId, request);
  const page = roots.slice(0, profileLimit);
  const targets: ScanTarget[] = [];
  for (const some of chunksOf(page, ROOTS_AT_ONCE)) {
    for (const group of await listProfileGroups(trx, organizationId, some)) {
      budget.spend(PROFILE_UNITS * (1 + group.merged.length));
      if (budget.isSliceOver) await budget.turn();
      targets.push({ profile: effectiveProfile(group), profileIds: groupProfileIds(group) });
    }
  }
  return { targets, more: roots.length > profileLimit };
}

/** Returns an extra root beyond the limit if more exist. */
async function readRoots(
  trx: Transaction,
  organizationId: OrganizationId,
  { shard, profileIds, profileLimit, afterProfileId }: ScanProfileEventsRequest,
): Promise<StoredProfile[]> {
  const after = afterProfileId.byteLength === 16 ? afterProfileId : undefined;
  if (profileIds.length === 0) {
    return listShardProfiles(trx, organizationId, shard, after, profileLimit + 1);
  }
  return (await getProfiles(trx, organizationId, profileIds)).filter(
    ({ id, mergedInto }) =>
      mergedInto === undefined &&
      shardOf(organizationId, id) === shard &&
      (after === undefined || Buffer.compare(uuidToBytes(id), after) > 0),
  );
}

function namesFilter(eventNames: readonly string[]) {
  const isShort = eventNames.length <= STATEMENT_NAMES_MAX;
  const names = new Set(eventNames);
  return {
    inStatement: isShort ? Array.from(names, (name) => Buffer.from(name)) : [],
    accepts: (row: EventRow): boolean => isShort || names.has(row.name.toString()),
  };
}

/** Groups rows, ordered by profile, into parts of bounded size. Profiles without events get a part too. */
class PartWriter {
  readonly #profiles: readonly Profile[];
  readonly #emit: Emit;
  #index = 0;
  #events: ScannedEvent[] = [];
  #bytes = 0;

  constructor(profiles: readonly Profile[], emit: Emit) {
    this.#profiles = profiles;
    this.#emit = emit;
  }

  async add(profile: Profile, row: EventRow): Promise<void> {
    while (this.#profiles[this.#index] !== profile) await this.#next();
    if (this.#bytes > 0 && this.#bytes + row.properties.length > PART_BYTES_MAX) await this.#flush();
    const event = create(ScannedEventSchema);
    event.id = row.event_id;
    event.name = row.name.toString();
    event.occurredMs = BigInt(row.occurred_ms);
    event.properties = row.properties;
    this.#events.push(event);
    this.#bytes += row.properties.length + row.name.length + 64;
  }

  /** Ends before the profile with a long history, if any. */
  async finish(long: Profile | undefined): Promise<void> {
    while (this.#index < this.#profiles.length && this.#profiles[this.#index] !== long) await this.#next();
    if (long === undefined) return;
    const value = uuidToBytes(long.id);
    await this.#emit(create(ScanProfileEventsResponseSchema, { part: { case: "longProfileId", value } }));
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
    await this.#emit(create(ScanProfileEventsResponseSchema, { part: { case: "profile", value } }));
  }
}
