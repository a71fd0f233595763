// How far one tail has come through an outbox, to the item, small enough to be handed out as a token.
import { SHARD_COUNT } from "@muster/core";
import { AppError } from "@muster/errors";
import type { OutboxTail } from "./outbox-tail.ts";

/** All before `positions` has been told, and of the next message of `shard` the first `offset` items. */
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

/** Undefined where these are not numbers of a cursor, or lie beyond what is committed. */
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
 * The items of one shard up to `head`; moves the cursor past each before it is handed out. A message begun
 * before a resume is finished first, by its shard's own call: the cursor has room for one.
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
