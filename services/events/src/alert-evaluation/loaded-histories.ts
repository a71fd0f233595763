// Loads and saves the alert histories that the events of a commit need.
import type { ProfileId, WorkBudget } from "@muster/core";
import type { Transaction } from "@muster/db";
import {
  type ChangedCell,
  type LockedHistory,
  lockHistories,
  type RootKey,
  readCells,
  saveArrivals,
  saveCells,
} from "../alert-history/history-store.ts";
import { mergedIdsOf } from "../identity-graph/links-store.ts";
import { ActionHistory } from "./action-history.ts";
import { loadCells, type NeededCells, neededCells } from "./needed-cells.ts";
import type { Candidate } from "./person-evaluation.ts";

/** The candidates of one person. */
export interface ProfileBatch extends RootKey {
  readonly candidates: Candidate[];
}

/** The locked history of a person. */
export interface LoadedHistory extends RootKey {
  readonly history: ActionHistory;
  readonly wasMerged: boolean;
  lastArrival: number;
}

/** Locks and reads the histories of the root profiles whose events need a history. */
export async function loadHistories(
  trx: Transaction,
  roots: readonly ProfileBatch[],
  budget: WorkBudget,
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
  const needed = new Map<ProfileId, NeededCells>();
  for (const { organizationId, rootId, candidates } of withHistory) {
    const history = histories.get(rootId)?.history;
    if (history === undefined) continue;
    const own = neededCells(organizationId, history, candidates);
    for (const profileId of history.profileIds) needed.set(profileId, own);
  }
  await loadCells(needed, (requested) => readCells(trx, requested), budget);
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

/** Changed cells that are encoded and written at once. */
const SAVED_CELLS = 500;
/** Estimated processor time to write one cell, in units of a budget. */
const SAVED_CELL_UNITS = 10;

/** Saves the changed cells of all histories and the last arrival numbers. */
export async function saveHistories(
  trx: Transaction,
  histories: readonly LoadedHistory[],
  budget: WorkBudget,
): Promise<void> {
  if (histories.length === 0) return;
  await saveArrivals(
    trx,
    histories.map(({ organizationId, rootId, lastArrival, wasMerged }) => ({
      organizationId,
      rootId,
      lastArrival,
      wasMerged,
    })),
  );
  let waiting: ChangedCell[] = [];
  const save = async (): Promise<void> => {
    const cells = waiting;
    waiting = [];
    await saveCells(trx, cells);
    budget.spend(cells.length * SAVED_CELL_UNITS);
    if (budget.isSliceOver) await budget.turn();
  };
  for (const { history, organizationId } of histories) {
    for (const cell of history.changedCells()) {
      waiting.push({ ...cell, organizationId });
      if (waiting.length >= SAVED_CELLS) await save();
    }
  }
  await save();
}
