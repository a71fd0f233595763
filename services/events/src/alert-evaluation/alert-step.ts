// Evaluates alert rules on the events of a commit, in the transaction of the commit. A locked row serializes
// the evaluations of a person. The events of a person are evaluated in arrival order, as if each event had
// come alone. Fired alerts are stored and published.
import type { Clock, IdSource, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { CellId } from "../alert-history/history-cell.ts";
import {
  type ChangedCell,
  type LockedHistory,
  lockHistories,
  type RequestedCells,
  type RootKey,
  readCells,
  saveArrivals,
  saveCells,
} from "../alert-history/history-store.ts";
import type { EventRules } from "../alert-rules/rule-set.ts";
import { RulesCache } from "../alert-rules/rules-cache.ts";
import type { Alert } from "../alerts/alert.ts";
import { insertAlerts } from "../alerts/alert-store.ts";
import { alertsFired, type FiredAlert } from "../alerts/alerts-fired.ts";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import { mergedIdsOf } from "../identity-graph/links-store.ts";
import type { IngestStep, StepResult } from "../ingest/ingest-step.ts";
import type { BatchPlan } from "../ingest/plan-batch.ts";
import { type Action, actionOf } from "./action.ts";
import { ActionHistory, cellsOf } from "./action-history.ts";
import { matches } from "./evaluate-alert.ts";

/** Arrival numbers follow the clock, with room for this many events of a person per millisecond. */
const ARRIVALS_PER_MS = 1000;

/** An event that at least one rule evaluates or counts. */
interface Candidate {
  readonly action: Action;
  readonly eventRules: EventRules;
}

interface ProfileBatch extends RootKey {
  readonly candidates: Candidate[];
}

/** The ingest step of alerts. One instance serves all commits of a process. */
export class AlertStep implements IngestStep {
  readonly #rules = new RulesCache();
  readonly #clock: Clock;
  readonly #ids: IdSource;

  /** `ids` are monotonic, so that lists of alerts have the order of firing. */
  constructor({ clock, ids }: { readonly clock: Clock; readonly ids: IdSource }) {
    this.#clock = clock;
    this.#ids = ids;
  }

  async apply(trx: Transaction, plan: BatchPlan): Promise<StepResult> {
    const candidates = await this.#candidatesOf(trx, plan);
    if (candidates.length === 0) return { drafts: [] };
    const roots = groupByRoot(candidates);
    const histories = await loadHistories(trx, roots);
    const fired: FiredAlert[] = [];
    const alertCodes = new Map<TrackedEvent, readonly number[]>();
    for (const { rootId, candidates: own } of roots) {
      const history = histories.get(rootId);
      for (const candidate of own) {
        const alerts = this.#evaluate(candidate, history);
        for (const alert of alerts) fired.push({ alert, rootId });
        if (alerts.length > 0)
          alertCodes.set(
            candidate.action.event,
            alerts.map(({ code }) => code),
          );
      }
    }
    await saveHistories(trx, [...histories.values()]);
    await insertAlerts(
      trx,
      fired.map(({ alert }) => alert),
    );
    const traceParents = new Map(plan.shardChanges.map(({ shard, traceParent }) => [shard, traceParent]));
    return { drafts: alertsFired(fired, traceParents), alertCodes };
  }

  /** Costs one statement when no rule applies to any of the events. */
  async #candidatesOf(trx: Transaction, plan: BatchPlan): Promise<Candidate[]> {
    const organizationIds = new Set(plan.newEvents.map(({ organizationId }) => organizationId));
    const sets = await this.#rules.of(trx, [...organizationIds]);
    const candidates: Candidate[] = [];
    for (const event of plan.newEvents) {
      const eventRules = sets.get(event.organizationId)?.byEventName.get(event.name);
      if (eventRules === undefined) continue;
      const action = actionOf(event, eventRules.properties);
      const hasAmount = ({ property }: { readonly property: string | undefined }): boolean =>
        property === undefined || action.amounts.has(property);
      const evaluated = eventRules.evaluated.filter(hasAmount);
      const series = eventRules.series.filter(hasAmount);
      if (evaluated.length + series.length === 0) continue;
      candidates.push({ action, eventRules: { ...eventRules, evaluated, series } });
    }
    return candidates;
  }

  /** Adds the action to the history first, so that the action counts itself. */
  #evaluate({ action, eventRules }: Candidate, history: LoadedHistory | undefined): Alert[] {
    const { event } = action;
    if (history !== undefined && eventRules.series.length > 0) {
      history.lastArrival = Math.max(history.lastArrival + 1, event.receivedMs * ARRIVALS_PER_MS);
      history.history.add(action, history.lastArrival, eventRules.series);
    }
    const nowMs = this.#clock.nowMs();
    const fired = eventRules.evaluated.filter((rule) =>
      matches(rule, action, history?.history ?? EMPTY_HISTORY),
    );
    return fired.map(({ id, code }) => ({
      organizationId: event.organizationId,
      id: this.#ids.next(nowMs),
      ruleId: id,
      code,
      profileId: event.profileId,
      eventId: event.id,
      eventName: event.name,
      occurredMs: event.occurredMs,
      firedMs: nowMs,
    }));
  }
}

const EMPTY_HISTORY = new ActionHistory([]);

/** Groups candidates by root profile, in the order of first appearance. */
function groupByRoot(candidates: readonly Candidate[]): ProfileBatch[] {
  const roots = new Map<ProfileId, ProfileBatch>();
  for (const candidate of candidates) {
    const { organizationId, rootId } = candidate.action.event;
    const root = roots.get(rootId) ?? { organizationId, rootId, candidates: [] };
    roots.set(rootId, root);
    root.candidates.push(candidate);
  }
  return [...roots.values()];
}

interface LoadedHistory extends RootKey {
  readonly history: ActionHistory;
  readonly wasMerged: boolean;
  lastArrival: number;
}

/** Locks and reads the histories of the root profiles whose events need a history. */
async function loadHistories(
  trx: Transaction,
  roots: readonly ProfileBatch[],
): Promise<Map<ProfileId, LoadedHistory>> {
  const withHistory = roots.filter(({ candidates }) => candidates.some(needsHistory));
  if (withHistory.length === 0) return new Map();
  const newlyMerged = new Set(
    withHistory.filter(({ candidates }) => candidates.some(isForMergedProfile)).map(({ rootId }) => rootId),
  );
  const locked = (await lockHistories(trx, withHistory)).map((root) => ({
    ...root,
    wasMerged: root.wasMerged || newlyMerged.has(root.rootId),
  }));
  const merged = await listMergedIds(trx, locked);
  const histories = new Map<ProfileId, LoadedHistory>();
  for (const root of locked) {
    const history = new ActionHistory([root.rootId, ...(merged.get(root.rootId) ?? [])]);
    histories.set(root.rootId, { ...root, history });
  }
  for (const { profileId, id, content, history } of await readHistories(trx, withHistory, histories)) {
    history.load(profileId, id, content);
  }
  return histories;
}

/**
 * A profile created as a part of a person was never merged; the first event of such a profile shows the link.
 */
function isForMergedProfile({ action: { event } }: Candidate): boolean {
  return event.profileId !== event.rootId;
}

/** Lists the merged profiles of roots that can have merged profiles. */
async function listMergedIds(
  trx: Transaction,
  roots: readonly LockedHistory[],
): Promise<Map<ProfileId, readonly ProfileId[]>> {
  const merged = new Map<ProfileId, readonly ProfileId[]>();
  const requested = Map.groupBy(
    roots.filter(({ wasMerged }) => wasMerged),
    ({ organizationId }) => organizationId,
  );
  for (const [organizationId, own] of requested) {
    const rootIds = own.map(({ rootId }) => rootId);
    for (const [rootId, ids] of await mergedIdsOf(trx, organizationId, rootIds)) merged.set(rootId, ids);
  }
  return merged;
}

function needsHistory({ eventRules }: Candidate): boolean {
  return (
    eventRules.series.length > 0 || eventRules.evaluated.some(({ neededSeries }) => neededSeries.length > 0)
  );
}

async function readHistories(
  trx: Transaction,
  roots: readonly ProfileBatch[],
  histories: ReadonlyMap<ProfileId, LoadedHistory>,
) {
  const requested: RequestedCells[] = [];
  const historyByProfile = new Map<ProfileId, ActionHistory>();
  for (const { organizationId, rootId, candidates } of roots) {
    const history = histories.get(rootId)?.history;
    if (history === undefined) continue;
    const cells = new Set<CellId>();
    for (const { action, eventRules } of candidates)
      for (const id of cellsOf(action, eventRules)) cells.add(id);
    for (const profileId of history.profileIds) {
      historyByProfile.set(profileId, history);
      requested.push({ organizationId, profileId, cells });
    }
  }
  const found = await readCells(trx, requested);
  return found.flatMap((cell) => {
    const history = historyByProfile.get(cell.profileId);
    return history === undefined ? [] : [{ ...cell, history }];
  });
}

async function saveHistories(trx: Transaction, histories: readonly LoadedHistory[]): Promise<void> {
  if (histories.length === 0) return;
  const roots: LockedHistory[] = [];
  const cells: ChangedCell[] = [];
  for (const { history, organizationId, rootId, lastArrival, wasMerged } of histories) {
    roots.push({ organizationId, rootId, lastArrival, wasMerged });
    for (const cell of history.changedCells()) cells.push({ ...cell, organizationId });
  }
  await saveArrivals(trx, roots);
  await saveCells(trx, cells);
}
