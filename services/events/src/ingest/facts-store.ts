// Reads what a batch must know, for all its organisations at once: a handful of statements, however
// many organisations share the commit.
import {
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  type TrackedEventId,
  uuidToBytes,
} from "@muster/core";
import { paddedValues, selectPrepared, type Transaction } from "@muster/db";
import { identityKindNumbers } from "../profiles/profile.ts";
import { EVENT_COLUMNS, type EventRow, eventFromRow } from "../tracked-events/event-store.ts";
import { type BatchFacts, emptyFacts, type OrganizationFacts, type Wanted } from "./batch-facts.ts";

/** Values of all IN lists of one statement. */
const STATEMENT_VALUES_MAX = 1000;
/** Values of the IN list of a prepared statement; a power of two. */
const PREPARED_VALUES_MAX = 512;
/** Organisations (or kinds, or days) of one statement. */
const STATEMENT_GROUPS_MAX = 64;

type Bound = number | Buffer;

/** `fixed` columns equal these, and the last column is one of `values`. */
interface Group {
  readonly fixed: readonly Bound[];
  readonly values: readonly Bound[];
}

interface IdentityGroup extends Group {
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
  if (options.withStoredEvents) await loadStoredEvents(trx, wanted, facts, factsOf);
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
    factsOf(row)[kind].set(row.value.toString(), bytesToUuid<ProfileId>(row.profile_id));
  }
}

interface IdentityRow {
  readonly organization_id: Buffer;
  readonly kind: number;
  readonly value: Buffer;
  readonly profile_id: Buffer;
}

/** Identities of one kind and one organisation, which is what most commits ask for. */
async function selectOfOne(trx: Transaction, { fixed, values }: IdentityGroup): Promise<IdentityRow[]> {
  const [organization, kind] = fixed;
  const found: IdentityRow[] = [];
  for (let start = 0; start < values.length; start += PREPARED_VALUES_MAX) {
    const asked = paddedValues(values.slice(start, start + PREPARED_VALUES_MAX));
    const rows = await selectPrepared<IdentityRow>(
      trx,
      `select organization_id, kind, value, profile_id from profile_identities where organization_id = ? and kind = ${kind} and value in (?${", ?".repeat(asked.length - 1)})`,
      [organization, ...asked],
    );
    for (const row of rows) found.push(row);
  }
  return found;
}

async function selectOfMany(trx: Transaction, groups: readonly IdentityGroup[]): Promise<IdentityRow[]> {
  const found: IdentityRow[] = [];
  for (const [condition, bindings] of statements(["organization_id", "kind", "value"], groups)) {
    const rows = await trx("profile_identities")
      .select<IdentityRow[]>("organization_id", "kind", "value", "profile_id")
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
  for (const [condition, bindings] of statements(["organization_id", "profile_id"], groups)) {
    const rows = await trx("profiles")
      .select<{ organization_id: Buffer; profile_id: Buffer }[]>("organization_id", "profile_id")
      .whereRaw(condition, bindings);
    for (const row of rows) factsOf(row).profileIds.add(bytesToUuid(row.profile_id));
  }
}

async function loadStoredEvents(
  trx: Transaction,
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  facts: BatchFacts,
  factsOf: FactsOf,
): Promise<void> {
  const dated = groupsOf(wanted, (organization, own) =>
    Array.from(own.datedIdsByDay, ([day, ids]) => ({
      fixed: [organization, day],
      values: Array.from(ids, uuidToBytes),
    })),
  );
  for (const row of await selectEvents(trx, dated)) addStoredEvent(row, factsOf(row));

  const undated = groupsOf(wanted, (organization, own) => [
    { fixed: [organization], values: Array.from(own.undatedIds, (id) => Buffer.from(id)) },
  ]);
  const places = new Map<string, Group & { readonly values: Bound[] }>();
  for (const [condition, bindings] of statements(["organization_id", "client_event_id"], undated)) {
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
  for (const row of await selectEvents(trx, [...places.values()])) {
    const event = eventFromRow(row);
    if (event.clientEventId !== undefined) {
      facts.get(event.organizationId)?.eventsByUndatedId.set(event.clientEventId, event);
    }
  }
}

function addStoredEvent(row: EventRow, facts: OrganizationFacts): void {
  const event = eventFromRow(row);
  facts.eventsById.set(event.id as TrackedEventId, event);
}

async function selectEvents(trx: Transaction, groups: readonly Group[]): Promise<EventRow[]> {
  const found: EventRow[] = [];
  for (const [condition, bindings] of statements(["organization_id", "day", "event_id"], groups)) {
    const rows = await trx("tracked_events").select<EventRow[]>(EVENT_COLUMNS).whereRaw(condition, bindings);
    for (const row of rows) found.push(row);
  }
  return found;
}

function groupsOf<OneGroup extends Group>(
  wanted: ReadonlyMap<OrganizationId, Wanted>,
  groupsOfOne: (organization: Buffer, own: Wanted) => readonly OneGroup[],
): OneGroup[] {
  const groups: OneGroup[] = [];
  for (const [organizationId, own] of wanted) groups.push(...groupsOfOne(uuidToBytes(organizationId), own));
  return groups.filter((group) => group.values.length > 0);
}

/** Conditions, each with its bindings, that together select every group by the key's columns. */
function* statements(columns: readonly string[], groups: readonly Group[]): Generator<[string, Bound[]]> {
  const last = columns.at(-1);
  const fixed = columns.slice(0, -1).map((column) => `${column} = ?`);
  let conditions: string[] = [];
  let bindings: Bound[] = [];
  for (const group of groups) {
    for (let start = 0; start < group.values.length; start += STATEMENT_VALUES_MAX) {
      const values = group.values.slice(start, start + STATEMENT_VALUES_MAX);
      const isFull =
        bindings.length + values.length > STATEMENT_VALUES_MAX || conditions.length >= STATEMENT_GROUPS_MAX;
      if (isFull && conditions.length > 0) {
        yield [conditions.join(" or "), bindings];
        conditions = [];
        bindings = [];
      }
      const marks = `?${", ?".repeat(values.length - 1)}`;
      conditions.push(`(${fixed.join(" and ")} and ${last} in (${marks}))`);
      bindings.push(...group.fixed, ...values);
    }
  }
  if (conditions.length > 0) yield [conditions.join(" or "), bindings];
}
