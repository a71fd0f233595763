// Holds the alert history of a person during an evaluation: the cells of all profiles. New actions change
// only the cells of the recorded profile, so that undoing a merge changes only links.
import type { ProfileId } from "@muster/core";
import type { HistoryAction } from "../alert-history/history-action.ts";
import {
  addToSums,
  type CellId,
  isNewest,
  LEVELS,
  NewestCell,
  type NodeReader,
  SumsCell,
  sumBetween,
  sumsCellId,
} from "../alert-history/history-cell.ts";
import type { Series } from "../alert-rules/rule-set.ts";
import type { Action } from "./action.ts";
import type { HistoryReader } from "./person-evaluation.ts";

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

  /** Adds a stored cell and returns the decoded cell. */
  load(profileId: ProfileId, id: CellId, content: Buffer): NewestCell | SumsCell {
    const cell = isNewest(id) ? NewestCell.decode(content) : SumsCell.decode(content);
    this.#profiles.get(profileId)?.cells.set(id, cell);
    return cell;
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

  /** Returns the stored newest actions of a series. */
  newestOf(series: Series): HistoryAction[] {
    const id = NewestCell.idOf(series.id);
    return Array.from(this.#profiles.values(), ({ cells }) => cells.get(id)).flatMap((cell) =>
      cell instanceof NewestCell ? cell.actions : [],
    );
  }

  /** Returns the sum of the stored actions of a series between two instants, both included. */
  sumsOf(series: Series): (fromMs: bigint, toMs: bigint) => bigint {
    const readers = [...this.#profiles.values()]
      .filter(({ cells }) => cells.size > 0)
      .map((profile) => nodeReader(profile, series.id));
    return (fromMs, toMs) => {
      let sum = 0n;
      for (const nodeOf of readers) sum += sumBetween(nodeOf, fromMs, toMs);
      return sum;
    };
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

/** Reads nodes by number, because many sums need the same nodes and ids are texts. */
function nodeReader({ cells }: ProfileCells, seriesId: string): NodeReader {
  const levels = Array.from({ length: LEVELS + 1 }, () => new Map<bigint, SumsCell | undefined>());
  return (level, index) => {
    const known = levels[level];
    if (known?.has(index) === true) return known.get(index);
    const cell = cells.get(sumsCellId(seriesId, level, index));
    const sums = cell instanceof SumsCell ? cell : undefined;
    known?.set(index, sums);
    return sums;
  };
}
