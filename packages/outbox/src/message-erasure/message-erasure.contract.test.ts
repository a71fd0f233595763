// Tests the erasure from published messages: no row, broker or dead letter contains the person afterwards,
// while positions stay and consumers that were behind apply the rest.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { randomIds } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { insertDeadLetter, listDeadLetters } from "../dead-letters/dead-letter-store.ts";
import { append, OutboxHarness, PAIRS, type Producer, totalOf } from "../testing/outbox-harness.ts";
import { eraseFromDeadLetters, eraseFromOutbox } from "./erase-messages.ts";

const SHARD = 3;
/** A value in messages that stands for the person's id. */
const SECRET = 777;
const profileIdBytes = [Buffer.from(String(SECRET))];
const rewrite = (_type: string, data: Uint8Array): Uint8Array | undefined =>
  Buffer.from(data).equals(profileIdBytes[0] ?? data) ? Buffer.from("0") : undefined;

describe.each(PAIRS)("scrubbing on %s", (pair) => {
  let harness: OutboxHarness;
  let producer: Producer;

  beforeEach(async () => {
    harness = await OutboxHarness.open(pair);
    producer = await harness.newProducer();
  });
  afterEach(() => harness.close());

  const put = (shard: number, ...values: number[]) =>
    append(producer.outbox, harness.producing.database, shard, ...values);
  const published = () =>
    waitFor(async () => {
      const rows: { published_position: number }[] = await harness.producing.database
        .reader("relay_cursors")
        .where({ shard: SHARD });
      return (rows[0]?.published_position ?? 0) >= ((await producer.outbox.positions())[SHARD] ?? 0);
    });

  it("consumers that were behind apply the remaining messages, wherever the others were held", async () => {
    const { outbox, relay, bus } = producer;
    const { database } = harness.producing;
    await relay.start();
    // More messages than a consumer receives at once, some of them about the person.
    const values = Array.from({ length: 300 }, (_, index) => (index % 7 === 0 ? SECRET : 1));
    await put(SHARD, ...values);
    const secrets = values.filter((value) => value === SECRET).length;
    await published();
    const through = (await outbox.positions())[SHARD] ?? 0;
    let counted = 0;
    const changed = async (_trx: unknown, before: readonly Uint8Array[]): Promise<void> => {
      counted += before.length;
    };
    expect(
      await eraseFromOutbox(database, { shard: SHARD, through }, { profileIdBytes, rewrite, changed }),
    ).toBe(true);
    expect(counted).toBe(secrets);
    await bus.purge("events", SHARD);
    await put(SHARD, 5);

    const { consumer } = await harness.newReplica(outbox);
    await consumer.start();
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(values.length - secrets + 5);
    // Again, after the consumer has received everything before.
    await put(SHARD, 1, 1);
    await bus.purge("events", SHARD);
    await put(SHARD, 1);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(values.length - secrets + 8);
    const found = await database.reader("outbox_messages").whereRaw("instr(data, ?) > 0", profileIdBytes);
    expect(found).toEqual([]);
  });

  it("rewrites only up to the position, may run again, and stops on request", async () => {
    const { outbox } = producer;
    const { database } = harness.producing;
    await put(SHARD, SECRET, SECRET);
    await put(SHARD + 1, SECRET);
    const stopped = { profileIdBytes, rewrite, shouldContinue: async () => false };
    expect(await eraseFromOutbox(database, { shard: SHARD, through: 1 }, stopped)).toBe(false);
    for (let time = 0; time < 2; time += 1) {
      await eraseFromOutbox(database, { shard: SHARD, through: 1 }, { profileIdBytes, rewrite });
    }
    const texts = async (shard: number): Promise<string[]> =>
      (await outbox.read(shard, 0, 10)).map(({ data }) => Buffer.from(data).toString());
    expect(await texts(SHARD)).toEqual(["0", String(SECRET)]);
    expect(await texts(SHARD + 1)).toEqual([String(SECRET)]);
  });

  it("two concurrent runs keep the changes of both", async () => {
    const { outbox } = producer;
    const { database } = harness.producing;
    await put(SHARD, 123_456);
    const without = (part: string) => ({
      profileIdBytes: [Buffer.from(part)],
      rewrite: (_type: string, data: Uint8Array) => {
        const text = Buffer.from(data).toString();
        return text.includes(part) ? Buffer.from(text.replace(part, "")) : undefined;
      },
    });
    await Promise.all(
      ["12", "34", "5"].map((part) => eraseFromOutbox(database, { shard: SHARD, through: 1 }, without(part))),
    );
    const [left] = await outbox.read(SHARD, 0, 1);
    expect(Buffer.from(left?.data ?? []).toString()).toBe("6");
  });

  it("dead letters of every shard are rewritten; an undecodable one that contains the person is deleted", async () => {
    const { database } = harness.consuming;
    const deadLetter = (shard: number, raw: Uint8Array) => ({
      id: randomIds.next(shard),
      consumer: "sums",
      source: "events",
      shard,
      position: 1,
      type: "a.type",
      raw,
      error: `cannot read ${SECRET}`,
      attempts: 5,
      deadMs: shard,
      replayRequestedMs: undefined,
      replayedMs: undefined,
    });
    const envelope = (text: string) =>
      toBinary(EnvelopeSchema, create(EnvelopeSchema, { type: "a.type", data: Buffer.from(text) }));
    const secret = String(SECRET);
    const deadLetters = [
      deadLetter(1, envelope(secret)),
      deadLetter(2, envelope("1")),
      deadLetter(3, Buffer.from(`\xff${secret}`, "latin1")),
      deadLetter(4, Buffer.from("\xff", "latin1")),
    ];
    await database.transaction(async (trx) => {
      for (const one of deadLetters) await insertDeadLetter(trx, one);
    });
    await eraseFromDeadLetters(database, { profileIdBytes, rewrite });
    const left = (await listDeadLetters(database.reader, { limit: 10 })).toReversed();
    expect(left.map(({ shard }) => shard)).toEqual([1, 2, 4]);
    expect(Buffer.from(fromBinary(EnvelopeSchema, left[0]?.raw ?? Buffer.of()).data).toString()).toBe("0");
    expect(left.map(({ error }) => error.includes(secret))).toEqual([false, true, true]);
  });
});
