// Encodes the alert history of a profile in cells of bounded size. One cell holds the newest actions of a
// series; a tree of cells holds sums by time. Pure.
import { COUNT_MAX } from "../alert-rules/alert-rule.ts";
import { compareActionOrder, type HistoryAction } from "./history-action.ts";

/**
 * Series (8 bytes), level (1 byte) and index in the level (8 bytes), in hex. Invariant: the format never
 * changes, because stored rows contain it.
 */
export type CellId = string;

/** The newest actions of a series, oldest first: as many as a rule can require. */
export class NewestCell {
  readonly actions: HistoryAction[];

  constructor(actions: readonly HistoryAction[] = []) {
    this.actions = [...actions];
  }

  add(action: HistoryAction): void {
    const { actions } = this;
    // The action is usually the newest.
    let at = actions.length;
    for (let before = actions[at - 1]; before !== undefined && compareActionOrder(before, action) > 0; ) {
      at -= 1;
      before = actions[at - 1];
    }
    actions.splice(at, 0, action);
    if (actions.length > COUNT_MAX) actions.shift();
  }

  encode(): Buffer {
    return Buffer.concat(
      this.actions.map(({ orderMs, arrival, amount }) => {
        const digits = Buffer.from(String(amount));
        const entry = Buffer.alloc(17 + digits.length);
        entry.writeBigInt64BE(orderMs, 0);
        entry.writeBigInt64BE(BigInt(arrival), 8);
        entry.writeUInt8(digits.length, 16);
        digits.copy(entry, 17);
        return entry;
      }),
    );
  }

  static decode(content: Buffer): NewestCell {
    const actions: HistoryAction[] = [];
    for (let at = 0; at < content.length; ) {
      const end = at + 17 + content.readUInt8(at + 16);
      actions.push({
        orderMs: content.readBigInt64BE(at),
        arrival: Number(content.readBigInt64BE(at + 8)),
        amount: BigInt(content.toString("latin1", at + 17, end)),
      });
      at = end;
    }
    return new NewestCell(actions);
  }

  static idOf(seriesId: string): CellId {
    return cellId(seriesId, 0, 0n);
  }
}

/** Children of a node: 2^9 instants at the lowest level, 2^9 nodes of the level below at higher levels. */
const LEVEL_BITS = 9;
const CHILD_MASK = (1n << BigInt(LEVEL_BITS)) - 1n;
/** A top node spans 2^36 ms, more than two years. A window overlaps at most two top nodes. */
const LEVELS = 4;

/** A node of the tree: the sums of the children that have a sum. */
export class SumsCell {
  readonly sums: Map<number, bigint>;

  constructor(sums: ReadonlyMap<number, bigint> = new Map()) {
    this.sums = new Map(sums);
  }

  /** Encodes the children in order, each with the digits of the sum. */
  encode(): Buffer {
    const entries = [...this.sums].sort(([a], [b]) => a - b);
    return Buffer.concat(
      entries.map(([child, sum]) => {
        const digits = Buffer.from(String(sum));
        const entry = Buffer.alloc(3 + digits.length);
        entry.writeUInt16BE(child, 0);
        entry.writeUInt8(digits.length, 2);
        digits.copy(entry, 3);
        return entry;
      }),
    );
  }

  static decode(content: Buffer): SumsCell {
    const sums = new Map<number, bigint>();
    for (let at = 0; at < content.length; ) {
      const end = at + 3 + content.readUInt8(at + 2);
      sums.set(content.readUInt16BE(at), BigInt(content.toString("latin1", at + 3, end)));
      at = end;
    }
    return new SumsCell(sums);
  }
}

/**
 * Returns the cells that contain the sum of an instant, lowest level first. A window that ends at the instant
 * needs no other cells.
 */
export function pathOf(seriesId: string, ms: bigint): CellId[] {
  return Array.from({ length: LEVELS }, (_, index) => nodeId(seriesId, index + 1, ms));
}

/** Adds the amount to every node above the instant. */
export function addToSums(
  cellOf: (id: CellId) => SumsCell,
  seriesId: string,
  ms: bigint,
  amount: bigint,
): void {
  for (let level = 1; level <= LEVELS; level += 1) {
    const { sums } = cellOf(nodeId(seriesId, level, ms));
    const child = Number((ms >> shiftOf(level - 1)) & CHILD_MASK);
    sums.set(child, (sums.get(child) ?? 0n) + amount);
  }
}

/**
 * Returns the sum between two instants, both included. The range spans at most one top node. Reads only cells
 * on the paths of the two instants.
 */
export function sumBetween(
  cellOf: (id: CellId) => SumsCell | undefined,
  seriesId: string,
  fromMs: bigint,
  toMs: bigint,
): bigint {
  /** The sum within one node; `node` is the index in the level. */
  const within = (level: number, node: bigint): bigint => {
    const cell = cellOf(cellId(seriesId, level, node));
    if (cell === undefined) return 0n;
    const firstEdge = fromMs >> shiftOf(level - 1);
    const lastEdge = toMs >> shiftOf(level - 1);
    let sum = 0n;
    for (const [index, part] of cell.sums) {
      const child = (node << BigInt(LEVEL_BITS)) | BigInt(index);
      if (child < firstEdge || child > lastEdge) continue;
      // An instant has no children, and a child between the edges counts completely.
      const isWhole = level === 1 || (child !== firstEdge && child !== lastEdge);
      sum += isWhole ? part : within(level - 1, child);
    }
    return sum;
  };
  let sum = 0n;
  const lastTop = toMs >> shiftOf(LEVELS);
  for (let top = fromMs >> shiftOf(LEVELS); top <= lastTop; top += 1n) sum += within(LEVELS, top);
  return sum;
}

function nodeId(seriesId: string, level: number, ms: bigint): CellId {
  return cellId(seriesId, level, ms >> shiftOf(level));
}

function shiftOf(level: number): bigint {
  return BigInt(level * LEVEL_BITS);
}

const SIGN = 1n << 63n;

function cellId(seriesId: string, level: number, index: bigint): CellId {
  const levelDigits = level.toString(16).padStart(2, "0");
  return `${seriesId}${levelDigits}${(index + SIGN).toString(16).padStart(16, "0")}`;
}

/** Level 0 holds the newest actions; higher levels hold sums. */
export function isNewest(id: CellId): boolean {
  return id.slice(16, 18) === "00";
}
