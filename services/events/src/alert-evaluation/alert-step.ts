// Evaluates alert rules on the events of a commit, in the transaction of the commit. A locked row serializes
// the evaluations of a person. The events of a person are evaluated in arrival order, as if each event had
// come alone. Fired alerts are stored and published in portions, between turns of the event loop.
import { type Clock, type IdSource, type ProfileId, WorkBudget } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { EventRules } from "../alert-rules/rule-set.ts";
import { RulesCache } from "../alert-rules/rules-cache.ts";
import { AlertWriter } from "../alerts/alert-writer.ts";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import type { IngestStep, StepResult } from "../ingest/ingest-step.ts";
import type { BatchPlan } from "../ingest/plan-batch.ts";
import { type Action, actionOf } from "./action.ts";
import { ActionHistory } from "./action-history.ts";
import { type LoadedHistory, loadHistories, type ProfileBatch, saveHistories } from "./loaded-histories.ts";
import { type Candidate, PersonEvaluation } from "./person-evaluation.ts";

/** Arrival numbers follow the clock, with room for this many events of a person per millisecond. */
const ARRIVALS_PER_MS = 1000;

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
    const budget = WorkBudget.inSlices({ clock: this.#clock });
    const candidates = await this.#candidatesOf(trx, plan, budget);
    if (candidates.length === 0) return { drafts: [] };
    const roots = groupByRoot(candidates);
    const histories = await loadHistories(trx, roots, budget);
    const alerts = new AlertWriter(trx, plan.shardChanges, budget);
    const alertCodes = new Map<TrackedEvent, readonly number[]>();
    for (const root of roots) {
      await this.#evaluate(root, { history: histories.get(root.rootId), alerts, alertCodes, budget });
    }
    await saveHistories(trx, [...histories.values()], budget);
    return { drafts: await alerts.finish(), alertCodes };
  }

  /** Costs one statement when no rule applies to any of the events. */
  async #candidatesOf(trx: Transaction, plan: BatchPlan, budget: WorkBudget): Promise<Candidate[]> {
    const organizationIds = new Set(plan.newEvents.map(({ organizationId }) => organizationId));
    const sets = await this.#rules.of(trx, [...organizationIds]);
    const candidates: Candidate[] = [];
    for (const event of plan.newEvents) {
      const eventRules = sets.get(event.organizationId)?.byEventName.get(event.name);
      if (eventRules === undefined) continue;
      budget.spend(4 + eventRules.evaluated.length / 10);
      if (budget.isSliceOver) await budget.turn();
      const action = actionOf(event, eventRules.properties);
      const own = rulesWithAmount(eventRules, action);
      if (own.evaluated.length + own.series.length > 0) candidates.push({ action, eventRules: own });
    }
    return candidates;
  }

  /** Evaluates the candidates of one person, and then adds them to the history. */
  async #evaluate({ rootId, candidates }: ProfileBatch, target: EvaluationTarget): Promise<void> {
    const { history, alerts, alertCodes, budget } = target;
    const evaluation = new PersonEvaluation(history?.history ?? EMPTY_HISTORY, candidates);
    const arrivals: number[] = [];
    for (const candidate of candidates) {
      const { action, eventRules } = candidate;
      const { event } = action;
      budget.spend(2 + 2 * (eventRules.evaluated.length + eventRules.series.length));
      if (budget.isSliceOver) await budget.turn();
      const arrival = history === undefined ? 0 : nextArrival(history, candidate);
      arrivals.push(arrival);
      const fired = evaluation.evaluate(candidate, arrival);
      if (fired.length === 0) continue;
      const codes = fired.map(({ code }) => code);
      alertCodes.set(event, codes);
      const nowMs = this.#clock.nowMs();
      for (const { id, code } of fired) {
        alerts.add({ event, rootId, ruleId: id, code, id: this.#ids.next(nowMs), firedMs: nowMs });
      }
      if (alerts.isFull) await alerts.flush();
    }
    if (history === undefined) return;
    for (const [index, { action, eventRules }] of candidates.entries()) {
      budget.spend(1 + 4 * eventRules.series.length);
      if (budget.isSliceOver) await budget.turn();
      history.history.add(action, arrivals[index] ?? 0, eventRules.series);
    }
  }
}

/** Returns the rules and series whose amount the action has: usually all, and then the same object. */
function rulesWithAmount(eventRules: EventRules, action: Action): EventRules {
  const hasAmount = ({ property }: { readonly property: string | undefined }): boolean =>
    property === undefined || action.amounts.has(property);
  if (eventRules.evaluated.every(hasAmount) && eventRules.series.every(hasAmount)) return eventRules;
  return {
    ...eventRules,
    evaluated: eventRules.evaluated.filter(hasAmount),
    series: eventRules.series.filter(hasAmount),
  };
}

interface EvaluationTarget {
  /** Undefined if no rule of the candidates needs a history. */
  readonly history: LoadedHistory | undefined;
  readonly alerts: AlertWriter;
  readonly alertCodes: Map<TrackedEvent, readonly number[]>;
  readonly budget: WorkBudget;
}

const EMPTY_HISTORY = new ActionHistory([]);

/** Takes the arrival number of an action that a series will contain. */
function nextArrival(history: LoadedHistory, { action, eventRules }: Candidate): number {
  if (eventRules.series.length === 0) return 0;
  history.lastArrival = Math.max(history.lastArrival + 1, action.event.receivedMs * ARRIVALS_PER_MS);
  return history.lastArrival;
}

/**
 * Groups candidates by root profile, in the order of first appearance, but by organization first: the ids of
 * alerts rise, so alerts are then inserted in key order.
 */
function groupByRoot(candidates: readonly Candidate[]): ProfileBatch[] {
  const roots = new Map<ProfileId, ProfileBatch>();
  for (const candidate of candidates) {
    const { organizationId, rootId } = candidate.action.event;
    const root = roots.get(rootId) ?? { organizationId, rootId, candidates: [] };
    roots.set(rootId, root);
    root.candidates.push(candidate);
  }
  const inOrder = [...roots.values()];
  return inOrder.sort((a, b) =>
    a.organizationId < b.organizationId ? -1 : Number(a.organizationId !== b.organizationId),
  );
}
