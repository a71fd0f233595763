import { create } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { describe, expect, test } from "vitest";
import { CommittedMessageBuffer } from "./committed-message-buffer.ts";

const message = (shard: number, position: number, bytes = 1) =>
  create(EnvelopeSchema, { shard, position: BigInt(position), data: new Uint8Array(bytes) });
const placesOf = (messages: readonly { shard: number; position: bigint }[]) =>
  messages.map(({ shard, position }) => [shard, Number(position)]);

describe("FreshMessages", () => {
  test("returns messages that follow the cursors, and drops messages published meanwhile", () => {
    const buffer = new CommittedMessageBuffer(1000);
    buffer.offer([message(1, 5), message(2, 1)]);
    buffer.offer([message(1, 6)]);
    const { messages, isComplete } = buffer.take(new Map([[1, 5]]));
    expect(placesOf(messages)).toEqual([
      [1, 6],
      [2, 1],
    ]);
    expect(isComplete).toBe(true);
    expect(buffer.take(new Map()).messages).toEqual([]);
  });

  test("returns no message after a gap, and reports the gap", () => {
    const buffer = new CommittedMessageBuffer(1000);
    buffer.offer([message(1, 1), message(1, 3), message(2, 7)]);
    const { messages, isComplete } = buffer.take(new Map());
    expect(placesOf(messages)).toEqual([[1, 1]]);
    expect(isComplete).toBe(false);
  });

  test("is empty once it has overflowed", () => {
    const buffer = new CommittedMessageBuffer(10);
    expect(buffer.offer([message(1, 1, 10)])).toBe(true);
    expect(buffer.offer([message(1, 2, 1)])).toBe(false);
    expect(buffer.take(new Map()).messages).toEqual([]);
    expect(buffer.offer([message(1, 1, 10)])).toBe(true);
  });
});
