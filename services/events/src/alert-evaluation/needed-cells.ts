// Finds and loads the history cells that an evaluation needs. Large batches read the trees of sums from the top
// and therefore only cells that exist.
import type { OrganizationId, ProfileId, WorkBudget } from "@muster/core";
import {
  type CellId,
  NewestCell,
  nodesBelow,
  pathOf,
  SumsCell,
  seriesIdOf,
  topNodesOf,
  type WindowEdges,
} from "../alert-history/history-cell.ts";
import type { RequestedCells, StoredCell } from "../alert-history/history-store.ts";
import type { Series } from "../alert-rules/rule-set.ts";
import type { ActionHistory } from "./action-history.ts";
import type { Candidate } from "./person-evaluation.ts";

/** Up to this many edges of windows, one statement reads all levels of the trees. */
const WHOLE_PATHS_MAX = 64;
/** Estimated processor time to decode one cell, in units of a budget. */
const CELL_UNITS = 20;

/** The cells that the candidates of one person need from each profile. */
export interface NeededCells {
  readonly organizationId: OrganizationId;
  readonly history: ActionHistory;
  readonly newest: ReadonlySet<CellId>;
  /** By series. */
  readonly edges: ReadonlyMap<string, WindowEdges>;
}

/** Returns the cells that the candidates read and write. */
export function neededCells(
  organizationId: OrganizationId,
  history: ActionHistory,
  candidates: readonly Candidate[],
): NeededCells {
  const newest = new Set<CellId>();
  const bySeries = new Map<string, { ends: Set<bigint>; lengths: Set<bigint> }>();
  const need = ({ form, id }: Series, windowSeconds: number): void => {
    if (form === "newest") newest.add(NewestCell.idOf(id));
    else {
      const found = bySeries.get(id) ?? { ends: new Set(), lengths: new Set() };
      bySeries.set(id, found);
      found.lengths.add(BigInt(windowSeconds) * 1000n);
    }
  };
  // Most candidates share one object of rules.
  const byRules = Map.groupBy(candidates, ({ eventRules }) => eventRules);
  for (const [{ evaluated, series }, own] of byRules) {
    for (const { neededSeries, windowSeconds = 0 } of evaluated) {
      for (const one of neededSeries) need(one, windowSeconds);
    }
    for (const one of series) {
      need(one, 0);
      const ends = bySeries.get(one.id)?.ends;
      for (const { action } of own) ends?.add(action.orderMs);
    }
  }
  const edges = new Map<string, WindowEdges>();
  for (const [id, { ends, lengths }] of bySeries) {
    edges.set(id, { ends: [...ends].sort((a, b) => (a < b ? -1 : 1)), lengths: [...lengths] });
  }
  return { organizationId, history, newest, edges };
}

/** Reads the needed cells into their histories. `read` yields the requested cells that exist. */
export async function loadCells(
  needed: ReadonlyMap<ProfileId, NeededCells>,
  read: (requested: readonly RequestedCells[]) => AsyncIterable<StoredCell>,
  budget: WorkBudget,
): Promise<void> {
  const isSmall = countEdges(new Set(needed.values())) <= WHOLE_PATHS_MAX;
  let next = new Map<ProfileId, Set<CellId>>();
  for (const [profileId, own] of needed) next.set(profileId, firstCellsOf(own, isSmall));
  while (next.size > 0) {
    const requested = [...next].flatMap(([profileId, cells]): RequestedCells[] => {
      const own = needed.get(profileId);
      return own === undefined ? [] : [{ organizationId: own.organizationId, profileId, cells }];
    });
    next = new Map();
    for await (const { profileId, id, content } of read(requested)) {
      const own = needed.get(profileId);
      const cell = own?.history.load(profileId, id, content);
      budget.spend(CELL_UNITS);
      if (budget.isSliceOver) await budget.turn();
      if (own === undefined || isSmall || !(cell instanceof SumsCell)) continue;
      const edges = own.edges.get(seriesIdOf(id));
      const nodes = edges === undefined ? [] : nodesBelow(id, cell, edges);
      if (nodes.length === 0) continue;
      const below = next.get(profileId) ?? new Set();
      for (const node of nodes) below.add(node);
      next.set(profileId, below);
    }
  }
}

function countEdges(needed: Iterable<NeededCells>): number {
  let count = 0;
  for (const { edges } of needed) {
    for (const { ends, lengths } of edges.values()) count += ends.length * lengths.length;
  }
  return count;
}

/** Returns the cells of the first statement: of the trees all cells on the paths, or only the tops. */
function firstCellsOf({ newest, edges }: NeededCells, isSmall: boolean): Set<CellId> {
  const cells = new Set(newest);
  for (const [seriesId, own] of edges) {
    const ofTree = isSmall ? wholePaths(seriesId, own) : topNodesOf(seriesId, own);
    for (const id of ofTree) cells.add(id);
  }
  return cells;
}

function wholePaths(seriesId: string, { ends, lengths }: WindowEdges): CellId[] {
  return ends.flatMap((end) => lengths.flatMap((length) => pathOf(seriesId, end - length)));
}
