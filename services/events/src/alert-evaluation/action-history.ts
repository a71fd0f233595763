// Holds the alert history of a person during an evaluation: the cells of all profiles. New actions change
// only the cells of the recorded profile, so that undoing a merge changes only links.
import type { ProfileId } from "@muster/core";
import { compareActionOrder, type HistoryAction } from "../alert-history/history-action.ts";
import {
  addToSums,
  type CellId,
  isNewest,
  NewestCell,
  pathOf,
  SumsCell,
  sumBetween,
} from "../alert-history/history-cell.ts";
import type { EventRules, Series } from "../alert-rules/rule-set.ts";
import type { Action } from "./action.ts";
import type { HistoryReader } from "./evaluate-alert.ts";

type Cell = NewestCell | SumsCell;

interface ProfileCells {
  readonly cells: Map<CellId, Cell>;
  /** Changed cells, with the time of receipt of the latest event in the cell. */
  readonly changedCells: Map<CellId, number>;
}

/** The history of one person, loaded cell by cell. */
export class ActionHistory implements HistoryReader {
  readonly #profiles = new Map<ProfileId, ProfileCells>();

  constructor(profileIds: Iterable<ProfileId>) {
    for (const id of profileIds) this.#profiles.set(id, { cells: new Map(), changedCells: new Map() });
  }

  get profileIds(): Iterable<ProfileId> {
    return this.#profiles.keys();
  }

  /** Adds a stored cell. */
  load(profileId: ProfileId, id: CellId, content: Buffer): void {
    const cell = isNewest(id) ? NewestCell.decode(content) : SumsCell.decode(content);
    this.#profiles.get(profileId)?.cells.set(id, cell);
  }

  /** Adds an action to every series that contains the action. */
  add(action: Action, arrival: number, series: readonly Series[]): void {
    const { profileId, receivedMs } = action.event;
    for (const one of series) {
      const amount = action.amounts.get(one.property ?? "") ?? 0n;
      if (one.form === "newest") {
        const cell = this.#cellToChange(profileId, NewestCell.idOf(one.id), NewestCell, receivedMs);
        cell.add({ orderMs: action.orderMs, arrival, amount });
      } else {
        const cellOf = (id: CellId) => this.#cellToChange(profileId, id, SumsCell, receivedMs);
        addToSums(cellOf, one.id, action.orderMs, amount);
      }
    }
  }

  latest(series: Series, count: number): readonly HistoryAction[] {
    const id = NewestCell.idOf(series.id);
    const lists: HistoryAction[][] = [];
    for (const { cells } of this.#profiles.values()) {
      const cell = cells.get(id);
      if (cell instanceof NewestCell) lists.push(cell.actions);
    }
    const [only] = lists;
    const all = lists.length === 1 && only !== undefined ? only : lists.flat().sort(compareActionOrder);
    return all.slice(Math.max(0, all.length - count));
  }

  sumBetween(series: Series, fromMs: bigint, toMs: bigint): bigint {
    let sum = 0n;
    for (const { cells } of this.#profiles.values()) {
      const cellOf = (id: CellId): SumsCell | undefined => {
        const cell = cells.get(id);
        return cell instanceof SumsCell ? cell : undefined;
      };
      sum += sumBetween(cellOf, series.id, fromMs, toMs);
    }
    return sum;
  }

  /** Returns the changed cells. */
  *changedCells(): Generator<{ profileId: ProfileId; id: CellId; content: Buffer; lastReceivedMs: number }> {
    for (const [profileId, { cells, changedCells }] of this.#profiles) {
      for (const [id, lastReceivedMs] of changedCells) {
        const cell = cells.get(id);
        if (cell !== undefined) yield { profileId, id, content: cell.encode(), lastReceivedMs };
      }
    }
  }

  #cellToChange<OneCell extends Cell>(
    profileId: ProfileId,
    id: CellId,
    form: new () => OneCell,
    receivedMs: number,
  ): OneCell {
    const own = this.#profiles.get(profileId) ?? { cells: new Map(), changedCells: new Map() };
    this.#profiles.set(profileId, own);
    const found = own.cells.get(id);
    const cell = found instanceof form ? found : new form();
    own.cells.set(id, cell);
    own.changedCells.set(id, Math.max(receivedMs, own.changedCells.get(id) ?? receivedMs));
    return cell;
  }
}

/** Returns the cells that the evaluation of an action reads and writes. */
export function* cellsOf(action: Action, eventRules: EventRules): Generator<CellId> {
  for (const { neededSeries, windowSeconds } of eventRules.evaluated) {
    for (const { form, id } of neededSeries) {
      if (form === "newest") yield NewestCell.idOf(id);
      else yield* pathOf(id, action.orderMs - BigInt(windowSeconds ?? 0) * 1000n);
    }
  }
  for (const { form, id } of eventRules.series) {
    if (form === "newest") yield NewestCell.idOf(id);
    else yield* pathOf(id, action.orderMs);
  }
}
