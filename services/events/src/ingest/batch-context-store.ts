// Loads the context of a batch for all its organizations. The number of statements does not depend on the
// number of organizations that share the commit.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { paddedValues, selectPrepared, type Transaction } from "@muster/db";
import { EVENT_COLUMNS, type EventRow, eventFromRow } from "../event-storage/event-store.ts";
import { type Bound, type KeyGroup, keyConditions } from "../event-storage/key-groups.ts";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import { identityKindNumbers, type ProfileLink } from "../profile-storage/profile.ts";
import {
  type BatchContext,
  type BatchKeys,
  emptyContext,
  type OrganizationContext,
} from "./batch-context.ts";

/** Maximum number of values in the IN list of a prepared statement; a power of two. */
const PREPARED_VALUES_MAX = 512;

interface IdentityKeyGroup extends KeyGroup {
  readonly fixed: readonly [organization: Buffer, kind: number];
  readonly values: readonly Buffer[];
}

/**
 * Loads the owners of all identities of the batch and, with `withStoredEvents`, possible duplicates and
 * erased events.
 */
export async function loadBatchContext(
  trx: Transaction,
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
  options: { readonly withStoredEvents: boolean },
): Promise<BatchContext> {
  const context: BatchContext = new Map();
  const byBytes = new Map<string, OrganizationContext>();
  for (const organizationId of keys.keys()) {
    const own = emptyContext();
    context.set(organizationId, own);
    byBytes.set(uuidToBytes(organizationId).toString("latin1"), own);
  }
  const contextOf = (row: { readonly organization_id: Buffer }): OrganizationContext =>
    byBytes.get(row.organization_id.toString("latin1")) ?? emptyContext();
  await loadIdentities(trx, keys, contextOf);
  await loadProfileIds(trx, keys, contextOf);
  if (options.withStoredEvents) await loadStoredEvents(trx, keys, contextOf);
  return context;
}

type ContextOf = (row: { readonly organization_id: Buffer }) => OrganizationContext;

async function loadIdentities(
  trx: Transaction,
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
  contextOf: ContextOf,
): Promise<void> {
  const kinds = ["user_id", "anonymous_id"] as const;
  const groups = groupsOf(keys, (organization, own) =>
    kinds.map(
      (kind): IdentityKeyGroup => ({
        fixed: [organization, identityKindNumbers[kind]],
        values: Array.from(own[kind], (value) => Buffer.from(value)),
      }),
    ),
  );
  const [first] = groups;
  const isOne = first !== undefined && groups.length === 1;
  for (const row of isOne ? await selectFromOneGroup(trx, first) : await selectFromGroups(trx, groups)) {
    const kind = row.kind === identityKindNumbers.user_id ? "user_id" : "anonymous_id";
    contextOf(row)[kind].set(row.value.toString(), linkOf(row));
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
async function selectFromOneGroup(
  trx: Transaction,
  { fixed, values }: IdentityKeyGroup,
): Promise<IdentityRow[]> {
  const [organization, kind] = fixed;
  const found: IdentityRow[] = [];
  for (const some of chunksOf(values, PREPARED_VALUES_MAX)) {
    const requested = paddedValues(some);
    const rows = await selectPrepared<IdentityRow>(
      trx,
      `select organization_id, kind, value, profile_id, root_id from profile_identities where organization_id = ? and kind = ${kind} and value in (?${", ?".repeat(requested.length - 1)})`,
      [organization, ...requested],
    );
    for (const row of rows) found.push(row);
  }
  return found;
}

async function selectFromGroups(
  trx: Transaction,
  groups: readonly IdentityKeyGroup[],
): Promise<IdentityRow[]> {
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
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
  contextOf: ContextOf,
): Promise<void> {
  const groups = groupsOf(keys, (organization, own) => [
    { fixed: [organization], values: Array.from(own.profile_id, uuidToBytes) },
  ]);
  for (const row of await selectLinks(trx, groups)) {
    const link = linkOf(row);
    contextOf(row).profile_id.set(link.profileId, link);
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
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
  contextOf: ContextOf,
): Promise<void> {
  const dated = groupsOf(keys, (organization, own) =>
    Array.from(own.datedIdsByDay, ([day, ids]) => ({
      fixed: [organization, day],
      values: Array.from(ids, uuidToBytes),
    })),
  );
  for (const { context, event, isErased } of await selectEvents(trx, dated, contextOf)) {
    if (isErased) context.erasedIds.add(event.id);
    else context.eventsById.set(event.id, event);
  }
  const undated = await undatedEventKeys(trx, keys);
  for (const { context, event, isErased } of await selectEvents(trx, undated, contextOf)) {
    if (event.clientEventId === undefined) continue;
    if (isErased) context.erasedUndatedIds.add(event.clientEventId);
    else context.eventsByUndatedId.set(event.clientEventId, event);
  }
}

/** Returns the primary keys of events with a client id but without a client time, grouped by day. */
async function undatedEventKeys(
  trx: Transaction,
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
): Promise<KeyGroup[]> {
  const groups = groupsOf(keys, (organization, own) => [
    { fixed: [organization], values: Array.from(own.undatedIds, (id) => Buffer.from(id)) },
  ]);
  const keysByDay = new Map<string, KeyGroup & { readonly values: Bound[] }>();
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
      const dayKeys = keysByDay.get(key) ?? { fixed: [row.organization_id, row.day], values: [] };
      dayKeys.values.push(row.event_id);
      keysByDay.set(key, dayKeys);
    }
  }
  return [...keysByDay.values()];
}

interface StoredEvent {
  readonly context: OrganizationContext;
  readonly event: TrackedEvent;
  /** The profile was erased; a worker will delete the event. */
  readonly isErased: boolean;
}

/** Selects events by (organization, day, id), each with its current root profile. */
async function selectEvents(
  trx: Transaction,
  groups: readonly KeyGroup[],
  contextOf: ContextOf,
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
    return { context: contextOf(row), event, isErased: rootId === undefined };
  });
}

function distinct(ids: readonly Buffer[]): Buffer[] {
  return [...new Map(ids.map((id) => [id.toString("latin1"), id])).values()];
}

function groupsOf<OneGroup extends KeyGroup>(
  keys: ReadonlyMap<OrganizationId, BatchKeys>,
  groupsOfOne: (organization: Buffer, own: BatchKeys) => readonly OneGroup[],
): OneGroup[] {
  const groups: OneGroup[] = [];
  for (const [organizationId, own] of keys) groups.push(...groupsOfOne(uuidToBytes(organizationId), own));
  return groups.filter((group) => group.values.length > 0);
}
