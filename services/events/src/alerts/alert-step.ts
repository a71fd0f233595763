// Evaluates alert rules on the events of a commit, in the transaction of the commit. A locked row serializes
// the evaluations of a person. The events of a person are evaluated in arrival order, as if each event had
// come alone. Fired alerts are stored and published.
import { assert, type Clock, type IdSource, type ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { OutboxDraft } from "@muster/outbox";
import type { IngestStep } from "../ingest/ingest-step.ts";
import type { BatchPlan } from "../ingest/plan-batch.ts";
import type { StoredOutcome } from "../ingest/submission.ts";
import { mergedIdsOf } from "../people/links-store.ts";
import { type Action, actionOf } from "./action.ts";
import type { Alert } from "./alert.ts";
import { insertAlerts } from "./alert-store.ts";
import { alertsFired, type FiredAlert } from "./alerts-fired.ts";
import type { CellId } from "./history-cell.ts";
import {
  type ChangedCell,
  type LockedPerson,
  lockPasts,
  type PersonKey,
  readCells,
  saveArrivals,
  saveCells,
  type WantedCells,
} from "./history-store.ts";
import { fires } from "./judge.ts";
import { cellsOf, PersonPast } from "./person-past.ts";
import type { NamedRules } from "./rule-set.ts";
import { RulesCache } from "./rules-cache.ts";

/** Arrival numbers follow the clock, with room for this many events of a person per millisecond. */
const ARRIVALS_PER_MS = 1000;

/** An event that at least one rule evaluates or counts. */
interface Candidate {
  readonly action: Action;
  readonly outcome: StoredOutcome;
  readonly named: NamedRules;
}

interface PersonBatch extends PersonKey {
  readonly candidates: Candidate[];
}

export class AlertStep implements IngestStep {
  readonly #rules = new RulesCache();
  readonly #clock: Clock;
  readonly #ids: IdSource;

  /** `ids` are monotonic, so that lists of alerts have the order of firing. */
  constructor({ clock, ids }: { readonly clock: Clock; readonly ids: IdSource }) {
    this.#clock = clock;
    this.#ids = ids;
  }

  async apply(trx: Transaction, plan: BatchPlan): Promise<readonly OutboxDraft[]> {
    const candidates = await this.#candidatesOf(trx, plan);
    if (candidates.length === 0) return [];
    const people = peopleOf(candidates);
    const pasts = await loadPasts(trx, people);
    const fired: FiredAlert[] = [];
    for (const { rootId, candidates: own } of people) {
      const past = pasts.get(rootId);
      for (const candidate of own) {
        for (const alert of this.#judge(candidate, past)) fired.push({ alert, rootId });
      }
    }
    await savePasts(trx, [...pasts.values()]);
    await insertAlerts(
      trx,
      fired.map(({ alert }) => alert),
    );
    return alertsFired(fired, new Map(plan.shares.map(({ shard, traceParent }) => [shard, traceParent])));
  }

  /** Costs one statement when no rule applies to any of the events. */
  async #candidatesOf(trx: Transaction, plan: BatchPlan): Promise<Candidate[]> {
    const organizationIds = new Set(plan.newEvents.map(({ organizationId }) => organizationId));
    const sets = await this.#rules.of(trx, [...organizationIds]);
    const candidates: Candidate[] = [];
    for (const [index, event] of plan.newEvents.entries()) {
      const named = sets.get(event.organizationId)?.byEventName.get(event.name);
      if (named === undefined) continue;
      const outcome = plan.stored[index];
      assert(outcome !== undefined, "every new event has an outcome");
      const action = actionOf(event, named.properties);
      const isJudged = ({ property }: { readonly property: string | undefined }): boolean =>
        property === undefined || action.amounts.has(property);
      const judged = named.judged.filter(isJudged);
      const series = named.series.filter(isJudged);
      if (judged.length + series.length === 0) continue;
      candidates.push({ action, outcome, named: { ...named, judged, series } });
    }
    return candidates;
  }

  /** Adds the action to the history first, so that the action counts itself. */
  #judge({ action, outcome, named }: Candidate, past: LoadedPast | undefined): Alert[] {
    const { event } = action;
    if (past !== undefined && named.series.length > 0) {
      past.lastArrival = Math.max(past.lastArrival + 1, event.receivedMs * ARRIVALS_PER_MS);
      past.past.add(action, past.lastArrival, named.series);
    }
    const nowMs = this.#clock.nowMs();
    const fired = named.judged.filter((rule) => fires(rule, action, past?.past ?? noPast));
    return fired.map(({ id, code }) => {
      outcome.alertCodes.push(code);
      return {
        ...{ organizationId: event.organizationId, id: this.#ids.next(nowMs), ruleId: id, code },
        ...{ profileId: event.profileId, eventId: event.id, eventName: event.name },
        ...{ occurredMs: event.occurredMs, firedMs: nowMs },
      };
    });
  }
}

const noPast = new PersonPast([]);

/** Groups candidates by root profile, in the order of first appearance. */
function peopleOf(candidates: readonly Candidate[]): PersonBatch[] {
  const people = new Map<ProfileId, PersonBatch>();
  for (const candidate of candidates) {
    const { organizationId, rootId } = candidate.action.event;
    const person = people.get(rootId) ?? { organizationId, rootId, candidates: [] };
    people.set(rootId, person);
    person.candidates.push(candidate);
  }
  return [...people.values()];
}

interface LoadedPast extends PersonKey {
  readonly past: PersonPast;
  readonly wasMerged: boolean;
  lastArrival: number;
}

/** Locks and reads the histories of the root profiles whose events need a history. */
async function loadPasts(
  trx: Transaction,
  people: readonly PersonBatch[],
): Promise<Map<ProfileId, LoadedPast>> {
  const needing = people.filter(({ candidates }) => candidates.some(needsPast));
  if (needing.length === 0) return new Map();
  const linked = new Set(
    needing.filter(({ candidates }) => candidates.some(isOfMerged)).map(({ rootId }) => rootId),
  );
  const locked = (await lockPasts(trx, needing)).map((person) => ({
    ...person,
    wasMerged: person.wasMerged || linked.has(person.rootId),
  }));
  const merged = await mergedInto(trx, locked);
  const pasts = new Map<ProfileId, LoadedPast>();
  for (const person of locked) {
    const past = new PersonPast([person.rootId, ...(merged.get(person.rootId) ?? [])]);
    pasts.set(person.rootId, { ...person, past });
  }
  for (const { profileId, id, content, past } of await readPasts(trx, needing, pasts)) {
    past.load(profileId, id, content);
  }
  return pasts;
}

/**
 * A profile created as a part of a person was never merged; the first event of such a profile shows the link.
 */
function isOfMerged({ action: { event } }: Candidate): boolean {
  return event.profileId !== event.rootId;
}

/** Lists the merged profiles of roots that can have merged profiles. */
async function mergedInto(
  trx: Transaction,
  people: readonly LockedPerson[],
): Promise<Map<ProfileId, readonly ProfileId[]>> {
  const merged = new Map<ProfileId, readonly ProfileId[]>();
  const asked = Map.groupBy(
    people.filter(({ wasMerged }) => wasMerged),
    ({ organizationId }) => organizationId,
  );
  for (const [organizationId, own] of asked) {
    const rootIds = own.map(({ rootId }) => rootId);
    for (const [rootId, ids] of await mergedIdsOf(trx, organizationId, rootIds)) merged.set(rootId, ids);
  }
  return merged;
}

function needsPast({ named }: Candidate): boolean {
  return named.series.length > 0 || named.judged.some(({ past }) => past.length > 0);
}

async function readPasts(
  trx: Transaction,
  people: readonly PersonBatch[],
  pasts: ReadonlyMap<ProfileId, LoadedPast>,
) {
  const wanted: WantedCells[] = [];
  const owners = new Map<ProfileId, PersonPast>();
  for (const { organizationId, rootId, candidates } of people) {
    const past = pasts.get(rootId)?.past;
    if (past === undefined) continue;
    const cells = new Set<CellId>();
    for (const { action, named } of candidates) for (const id of cellsOf(action, named)) cells.add(id);
    for (const profileId of past.profileIds) {
      owners.set(profileId, past);
      wanted.push({ organizationId, profileId, cells });
    }
  }
  const found = await readCells(trx, wanted);
  return found.flatMap((cell) => {
    const past = owners.get(cell.profileId);
    return past === undefined ? [] : [{ ...cell, past }];
  });
}

async function savePasts(trx: Transaction, pasts: readonly LoadedPast[]): Promise<void> {
  if (pasts.length === 0) return;
  const people: LockedPerson[] = [];
  const cells: ChangedCell[] = [];
  for (const { past, organizationId, rootId, lastArrival, wasMerged } of pasts) {
    people.push({ organizationId, rootId, lastArrival, wasMerged });
    for (const cell of past.touched()) cells.push({ ...cell, organizationId });
  }
  await saveArrivals(trx, people);
  await saveCells(trx, cells);
}
