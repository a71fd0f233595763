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
export const LEVELS = 4;

/** A node of the tree: the sums of the children that have a sum. */
export class SumsCell {
  readonly #sums: Map<number, bigint>;
  /** The children in order, and the sum of all children before each of them. Undefined after a change. */
  #running: { readonly children: readonly number[]; readonly sums: readonly bigint[] } | undefined;

  constructor(sums: ReadonlyMap<number, bigint> = new Map()) {
    this.#sums = new Map(sums);
  }

  get sums(): ReadonlyMap<number, bigint> {
    return this.#sums;
  }

  add(child: number, amount: bigint): void {
    this.#sums.set(child, (this.#sums.get(child) ?? 0n) + amount);
    this.#running = undefined;
  }

  /** Returns the sum of the children from `first` to `last`, both included, without a visit to each of them. */
  sumOf(first: number, last: number): bigint {
    if (first > last || this.#sums.size === 0) return 0n;
    this.#running ??= runningSums(this.#sums);
    const { children, sums } = this.#running;
    const sumBefore = (child: number): bigint => sums[lowerBound(children, child)] ?? 0n;
    return sumBefore(last + 1) - sumBefore(first);
  }

  /** Encodes the children in order, each with the digits of the sum. */
  encode(): Buffer {
    const entries = [...this.#sums].sort(([a], [b]) => a - b);
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
    cellOf(nodeId(seriesId, level, ms)).add(Number((ms >> shiftOf(level - 1)) & CHILD_MASK), amount);
  }
}

/** Returns a node of one series by level and index in the level; undefined if the node has no sums. */
export type NodeReader = (level: number, index: bigint) => SumsCell | undefined;

/**
 * Returns the sum between two instants, both included. The range spans at most one top node. Reads only cells
 * on the paths of the two instants, and no cell that its parent does not contain.
 */
export function sumBetween(nodeOf: NodeReader, fromMs: bigint, toMs: bigint): bigint {
  const within = (level: number, index: bigint): bigint => {
    const cell = nodeOf(level, index);
    if (cell === undefined) return 0n;
    const firstChild = index << BigInt(LEVEL_BITS);
    const low = Number((fromMs >> shiftOf(level - 1)) - firstChild);
    const high = Number((toMs >> shiftOf(level - 1)) - firstChild);
    // An instant has no children, so all instants between the edges count completely.
    if (level === 1) return cell.sumOf(low, high);
    let sum = cell.sumOf(low + 1, high - 1);
    for (const edge of low === high ? [low] : [low, high]) {
      if (cell.sums.has(edge)) sum += within(level - 1, firstChild + BigInt(edge));
    }
    return sum;
  };
  let sum = 0n;
  const lastTop = toMs >> shiftOf(LEVELS);
  for (let top = fromMs >> shiftOf(LEVELS); top <= lastTop; top += 1n) sum += within(LEVELS, top);
  return sum;
}

/** The instants at which windows of a series begin and end: each of `ends`, less each of `lengths`. */
export interface WindowEdges {
  /** Ascending. */
  readonly ends: readonly bigint[];
  /** Milliseconds; 0 stands for the ends themselves. */
  readonly lengths: readonly bigint[];
}

/** Returns the top nodes of a series on the paths of the edges. */
export function topNodesOf(seriesId: string, edges: WindowEdges): CellId[] {
  const [first = 0n, last = -1n] = [edges.ends[0], edges.ends.at(-1)];
  const tops = new Set<bigint>();
  for (const length of edges.lengths) {
    for (const index of nodesWithin(LEVELS, edges.ends, {
      length,
      fromMs: first - length,
      toMs: last - length,
    })) {
      tops.add(index);
    }
  }
  return Array.from(tops, (index) => cellId(seriesId, LEVELS, index));
}

/** Returns the existing children of a node that are on the paths of the edges. */
export function nodesBelow(id: CellId, cell: SumsCell, { ends, lengths }: WindowEdges): CellId[] {
  const level = Number.parseInt(id.slice(16, 18), 16);
  if (level <= 1) return [];
  const index = BigInt(`0x${id.slice(18)}`) - SIGN;
  const [fromMs, toMs] = [index << shiftOf(level), ((index + 1n) << shiftOf(level)) - 1n];
  const nodes = new Set<bigint>();
  for (const length of lengths) {
    for (const node of nodesWithin(level - 1, ends, { length, fromMs, toMs })) {
      if (cell.sums.has(Number(node & CHILD_MASK))) nodes.add(node);
    }
  }
  return Array.from(nodes, (node) => cellId(seriesIdOf(id), level - 1, node));
}

/** Yields the nodes of a level that contain one of the ends less the length, within a range. */
function* nodesWithin(
  level: number,
  ends: readonly bigint[],
  { length, fromMs, toMs }: { readonly length: bigint; readonly fromMs: bigint; readonly toMs: bigint },
): Generator<bigint> {
  for (let at = lowerBound(ends, fromMs + length); at < ends.length; ) {
    const ms = (ends[at] ?? 0n) - length;
    if (ms > toMs) return;
    const node = ms >> shiftOf(level);
    yield node;
    at = lowerBound(ends, ((node + 1n) << shiftOf(level)) + length);
  }
}

/** Returns the series of a cell. */
export function seriesIdOf(id: CellId): string {
  return id.slice(0, 16);
}

/** Returns the id of a node of a series. */
export function sumsCellId(seriesId: string, level: number, index: bigint): CellId {
  return cellId(seriesId, level, index);
}

function runningSums(sums: ReadonlyMap<number, bigint>) {
  const children = [...sums.keys()].sort((a, b) => a - b);
  const running = [0n];
  let sum = 0n;
  for (const child of children) {
    sum += sums.get(child) ?? 0n;
    running.push(sum);
  }
  return { children, sums: running };
}

/** Returns how many of the sorted values are smaller. */
export function lowerBound<Value extends number | bigint>(sorted: readonly Value[], value: Value): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = sorted[middle];
    if (at !== undefined && at < value) low = middle + 1;
    else high = middle;
  }
  return low;
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
