import { create } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { describe, expect, test } from "vitest";
import { FreshMessages } from "./fresh-messages.ts";

const message = (shard: number, position: number, bytes = 1) =>
  create(EnvelopeSchema, { shard, position: BigInt(position), data: new Uint8Array(bytes) });
const places = (messages: readonly { shard: number; position: bigint }[]) =>
  messages.map(({ shard, position }) => [shard, Number(position)]);

describe("FreshMessages", () => {
  test("returns messages that follow the cursors, and drops messages published meanwhile", () => {
    const fresh = new FreshMessages(1000);
    fresh.offer([message(1, 5), message(2, 1)]);
    fresh.offer([message(1, 6)]);
    const { messages, isWhole } = fresh.take(new Map([[1, 5]]));
    expect(places(messages)).toEqual([
      [1, 6],
      [2, 1],
    ]);
    expect(isWhole).toBe(true);
    expect(fresh.take(new Map()).messages).toEqual([]);
  });

  test("returns no message after a gap, and reports the gap", () => {
    const fresh = new FreshMessages(1000);
    fresh.offer([message(1, 1), message(1, 3), message(2, 7)]);
    const { messages, isWhole } = fresh.take(new Map());
    expect(places(messages)).toEqual([[1, 1]]);
    expect(isWhole).toBe(false);
  });

  test("is empty once it has overflowed", () => {
    const fresh = new FreshMessages(10);
    expect(fresh.offer([message(1, 1, 10)])).toBe(true);
    expect(fresh.offer([message(1, 2, 1)])).toBe(false);
    expect(fresh.take(new Map()).messages).toEqual([]);
    expect(fresh.offer([message(1, 1, 10)])).toBe(true);
  });
});
