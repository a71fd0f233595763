// A tail cursor records how far one tail has read an outbox, up to the item. It is small enough for a token.
import { SHARD_COUNT } from "@muster/core";
import { AppError } from "@muster/errors";
import type { OutboxTail } from "./outbox-tail.ts";

/**
 * All messages up to `positions` are delivered, and the first `offset` items of the next message of `shard`.
 */
export interface TailCursor {
  readonly positions: number[];
  shard: number;
  offset: number;
}

export function cursorAt(positions: readonly number[]): TailCursor {
  return { positions: [...positions], shard: 0, offset: 0 };
}

export function cursorToNumbers({ positions, shard, offset }: TailCursor): number[] {
  return [...positions, shard, offset];
}

/** Returns undefined if the numbers are not a cursor, or are beyond the committed positions. */
export function cursorFromNumbers(
  numbers: readonly (string | number)[],
  heads: readonly number[],
): TailCursor | undefined {
  const positions = numbers.slice(0, SHARD_COUNT).map(Number);
  const isOurs =
    numbers.length === SHARD_COUNT + 2 && positions.every((at, shard) => at <= (heads[shard] ?? 0));
  if (!isOurs) return undefined;
  return { positions, shard: Number(numbers[SHARD_COUNT]), offset: Number(numbers[SHARD_COUNT + 1]) };
}

/**
 * Yields the items of one shard up to `head`, and advances the cursor past each item before yielding it. A
 * message that was begun before a resume is finished first, by the call for its shard, because the cursor has
 * room for one message.
 */
export async function* catchUp<Item>(
  tail: Pick<OutboxTail<Item>, "read">,
  cursor: TailCursor,
  shard: number,
  head: number,
): AsyncGenerator<Item> {
  for (let at = cursor.positions[shard] ?? 0; at < head; at = cursor.positions[shard] ?? 0) {
    const messages = await tail.read(shard, at);
    if (messages[0]?.position !== at + 1) {
      throw new AppError("POSITION_INVALID", {
        message: "The position is too old: what followed it is no longer kept.",
      });
    }
    for (const message of messages) {
      if (message.position > head) return;
      const begun = cursor.shard === shard ? cursor.offset : 0;
      cursor.shard = shard;
      for (const [index, item] of message.items.entries()) {
        cursor.offset = index + 1;
        if (index >= begun) yield item;
      }
      cursor.positions[shard] = message.position;
      cursor.offset = 0;
    }
  }
}
