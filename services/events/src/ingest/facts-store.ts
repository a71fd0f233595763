// Loads the context of a batch for all its organizations. The number of statements does not depend on the
// number of organizations that share the commit.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { paddedValues, selectPrepared, type Transaction } from "@muster/db";
import { identityKindNumbers, type ProfileLink } from "../profiles/profile.ts";
import { EVENT_COLUMNS, type EventRow, eventFromRow } from "../tracked-events/event-store.ts";
import { type Bound, type KeyGroup, keyConditions } from "../tracked-events/key-groups.ts";
import type { TrackedEvent } from "../tracked-events/tracked-event.ts";
import { type BatchFacts, emptyFacts, type OrganizationFacts, type Wanted } from "./batch-facts.ts";

/** Maximum number of values in the IN list of a prepared statement; a power of two. */
const PREPARED_VALUES_MAX = 512;

interface IdentityGroup extends KeyGroup {
  readonly fixed: readonly [organization: Buffer, kind: number];
  readonly values: readonly Buffer[];
}

export async function loadFacts(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  options: { readonly withStoredEvents: boolean },
): Promise<BatchFacts> {
  const facts: BatchFacts = new Map();
  const byBytes = new Map<string, OrganizationFacts>();
  for (const organizationId of wanted.keys()) {
    const own = emptyFacts();
    facts.set(organizationId, own);
    byBytes.set(uuidToBytes(organizationId).toString("latin1"), own);
  }
  const factsOf = (row: { readonly organization_id: Buffer }): OrganizationFacts =>
    byBytes.get(row.organization_id.toString("latin1")) ?? emptyFacts();
  await loadIdentities(trx, wanted, factsOf);
  await loadProfileIds(trx, wanted, factsOf);
  if (options.withStoredEvents) await loadStoredEvents(trx, wanted, factsOf);
  return facts;
}

type FactsOf = (row: { readonly organization_id: Buffer }) => OrganizationFacts;

async function loadIdentities(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  factsOf: FactsOf,
): Promise<void> {
  const kinds = ["user_id", "anonymous_id"] as const;
  const groups = groupsOf(wanted, (organization, own) =>
    kinds.map(
      (kind): IdentityGroup => ({
        fixed: [organization, identityKindNumbers[kind]],
        values: Array.from(own[kind], (value) => Buffer.from(value)),
      }),
    ),
  );
  const [first] = groups;
  const isOne = first !== undefined && groups.length === 1;
  for (const row of isOne ? await selectOfOne(trx, first) : await selectOfMany(trx, groups)) {
    const kind = row.kind === identityKindNumbers.user_id ? "user_id" : "anonymous_id";
    factsOf(row)[kind].set(row.value.toString(), linkOf(row));
  }
}

interface LinkRow {
  readonly organization_id: Buffer;
  readonly profile_id: Buffer;
  readonly root_id: Buffer | null;
}

interface IdentityRow extends LinkRow {
  readonly kind: number;
  readonly value: Buffer;
}

function linkOf({ profile_id, root_id }: LinkRow): ProfileLink {
  const profileId = bytesToUuid<ProfileId>(profile_id);
  return { profileId, rootId: root_id === null ? profileId : bytesToUuid<ProfileId>(root_id) };
}

/** Selects identities of one kind and one organization with a prepared statement: the most frequent case. */
async function selectOfOne(trx: Transaction, { fixed, values }: IdentityGroup): Promise<IdentityRow[]> {
  const [organization, kind] = fixed;
  const found: IdentityRow[] = [];
  for (let start = 0; start < values.length; start += PREPARED_VALUES_MAX) {
    const asked = paddedValues(values.slice(start, start + PREPARED_VALUES_MAX));
    const rows = await selectPrepared<IdentityRow>(
      trx,
      `select organization_id, kind, value, profile_id, root_id from profile_identities where organization_id = ? and kind = ${kind} and value in (?${", ?".repeat(asked.length - 1)})`,
      [organization, ...asked],
    );
    for (const row of rows) found.push(row);
  }
  return found;
}

async function selectOfMany(trx: Transaction, groups: readonly IdentityGroup[]): Promise<IdentityRow[]> {
  const found: IdentityRow[] = [];
  for (const [condition, bindings] of keyConditions(["organization_id", "kind", "value"], groups)) {
    const rows = await trx("profile_identities")
      .select<IdentityRow[]>("organization_id", "kind", "value", "profile_id", "root_id")
      .whereRaw(condition, bindings);
    for (const row of rows) found.push(row);
  }
  return found;
}

async function loadProfileIds(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  factsOf: FactsOf,
): Promise<void> {
  const groups = groupsOf(wanted, (organization, own) => [
    { fixed: [organization], values: Array.from(own.profile_id, uuidToBytes) },
  ]);
  for (const row of await selectLinks(trx, groups)) {
    const link = linkOf(row);
    factsOf(row).profile_id.set(link.profileId, link);
  }
}

/** Selects the root ids of profiles by (organization, id). */
async function selectLinks(trx: Transaction, groups: readonly KeyGroup[]): Promise<LinkRow[]> {
  const found: LinkRow[] = [];
  for (const [condition, bindings] of keyConditions(["organization_id", "profile_id"], groups)) {
    const rows = await trx("profiles")
      .select<LinkRow[]>("organization_id", "profile_id", "root_id")
      .whereRaw(condition, bindings);
    for (const row of rows) found.push(row);
  }
  return found;
}

async function loadStoredEvents(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  factsOf: FactsOf,
): Promise<void> {
  const dated = groupsOf(wanted, (organization, own) =>
    Array.from(own.datedIdsByDay, ([day, ids]) => ({
      fixed: [organization, day],
      values: Array.from(ids, uuidToBytes),
    })),
  );
  for (const { facts, event, isErased } of await selectEvents(trx, dated, factsOf)) {
    if (isErased) facts.erasedIds.add(event.id);
    else facts.eventsById.set(event.id, event);
  }
  const undated = await placesOfUndated(trx, wanted);
  for (const { facts, event, isErased } of await selectEvents(trx, undated, factsOf)) {
    if (event.clientEventId === undefined) continue;
    if (isErased) facts.erasedUndatedIds.add(event.clientEventId);
    else facts.eventsByUndatedId.set(event.clientEventId, event);
  }
}

/** Returns the primary keys of events with a client id but without a client time, grouped by day. */
async function placesOfUndated(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
): Promise<KeyGroup[]> {
  const groups = groupsOf(wanted, (organization, own) => [
    { fixed: [organization], values: Array.from(own.undatedIds, (id) => Buffer.from(id)) },
  ]);
  const places = new Map<string, KeyGroup & { readonly values: Bound[] }>();
  for (const [condition, bindings] of keyConditions(["organization_id", "client_event_id"], groups)) {
    const rows = await trx("undated_event_ids")
      .select<{ organization_id: Buffer; day: number; event_id: Buffer }[]>(
        "organization_id",
        "day",
        "event_id",
      )
      .whereRaw(condition, bindings);
    for (const row of rows) {
      const key = `${row.organization_id.toString("latin1")}/${row.day}`;
      const place = places.get(key) ?? { fixed: [row.organization_id, row.day], values: [] };
      place.values.push(row.event_id);
      places.set(key, place);
    }
  }
  return [...places.values()];
}

interface StoredEvent {
  readonly facts: OrganizationFacts;
  readonly event: TrackedEvent;
  /** The profile was erased; a worker will delete the event. */
  readonly isErased: boolean;
}

/** Selects events by (organization, day, id), each with its current root profile. */
async function selectEvents(
  trx: Transaction,
  groups: readonly KeyGroup[],
  factsOf: FactsOf,
): Promise<StoredEvent[]> {
  const rows: EventRow[] = [];
  for (const [condition, bindings] of keyConditions(["organization_id", "day", "event_id"], groups)) {
    const found = await trx("tracked_events").select<EventRow[]>(EVENT_COLUMNS).whereRaw(condition, bindings);
    for (const row of found) rows.push(row);
  }
  const profiles = Map.groupBy(rows, (row) => row.organization_id.toString("latin1"));
  const links = await selectLinks(
    trx,
    Array.from(profiles, ([organization, own]) => ({
      fixed: [Buffer.from(organization, "latin1")],
      values: distinct(own.map((row) => row.profile_id)),
    })),
  );
  const roots = new Map(links.map(linkOf).map(({ profileId, rootId }) => [profileId, rootId]));
  return rows.map((row) => {
    const profileId = bytesToUuid<ProfileId>(row.profile_id);
    const rootId = roots.get(profileId);
    const event = eventFromRow(row, rootId ?? profileId);
    return { facts: factsOf(row), event, isErased: rootId === undefined };
  });
}

function distinct(ids: readonly Buffer[]): Buffer[] {
  return [...new Map(ids.map((id) => [id.toString("latin1"), id])).values()];
}

function groupsOf<OneGroup extends KeyGroup>(
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  groupsOfOne: (organization: Buffer, own: Wanted) => readonly OneGroup[],
): OneGroup[] {
  const groups: OneGroup[] = [];
  for (const [organizationId, own] of wanted) groups.push(...groupsOfOne(uuidToBytes(organizationId), own));
  return groups.filter((group) => group.values.length > 0);
}
