// Tests the guarantees for producers: gapless positions in commit order, bounded messages, and a correct
// backlog.
import { setImmediate } from "node:timers/promises";
import { SHARD_COUNT } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append, draft, OutboxHarness, PAIRS } from "../testing/outbox-harness.ts";
import { countMessages } from "../testing/sums-store.ts";
import { MESSAGE_DATA_BYTES_MAX, type Outbox } from "./outbox.ts";

describe.each(PAIRS)("outbox on %s", (pair) => {
  let harness: OutboxHarness;
  let outbox: Outbox;

  beforeAll(async () => {
    harness = await OutboxHarness.open(pair);
    outbox = await harness.newOutbox();
  });
  afterAll(() => harness.close());

  it("numbers messages without gap and in commit order under eight writers and rollbacks", async () => {
    const { database } = harness.producing;
    const before = await outbox.positions();
    const kept = new Array<number>(SHARD_COUNT).fill(0);
    let writing = true;
    const writer = async (seed: number): Promise<void> => {
      for (let turn = 0; turn < 20; turn += 1) {
        const shards = [0, 1, 2].map((step) => (seed * 7 + turn * 3 + step * 5) % SHARD_COUNT);
        const drafts = [...shards, shards[0] ?? 0].map((shard) => draft(shard, 1, 2));
        const rollsBack = (seed + turn) % 5 === 0;
        const done = database.transaction(async (trx) => {
          const positions = await outbox.append(trx, drafts);
          expect(positions[3]).toBe((positions[0] ?? 0) + 1);
          if (rollsBack) throw new Error("changed my mind");
        });
        if (rollsBack) {
          await expect(done).rejects.toThrow("changed my mind");
          continue;
        }
        await done;
        for (const { shard } of drafts) kept[shard] = (kept[shard] ?? 0) + 1;
      }
    };
    // A reader that follows a position during concurrent commits must see the numbers in order.
    const followed = follow(outbox, before, () => writing);
    await Promise.all(Array.from({ length: 8 }, (_, seed) => writer(seed)));
    writing = false;
    const seen = await followed;

    const positions = await outbox.positions();
    expect(positions.map((position, shard) => position - (before[shard] ?? 0))).toEqual(kept);
    for (const [shard, envelopes] of seen.entries()) {
      const start = before[shard] ?? 0;
      expect(envelopes.map((envelope) => Number(envelope.position))).toEqual(
        envelopes.map((_, index) => start + index + 1),
      );
      const items = envelopes.map((envelope) => Number(envelope.itemsThrough));
      expect(items).toEqual(items.map((_, index) => (items[0] ?? 0) + 2 * index));
    }
    const ids = seen.flat().map((envelope) => envelope.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("reads appended messages, and at most a few megabytes at once", async () => {
    const { database } = harness.producing;
    const from = (await outbox.positions())[9] ?? 0;
    const large = { ...draft(9, 0), data: Buffer.alloc(MESSAGE_DATA_BYTES_MAX, 7) };
    const traced = {
      ...draft(9, 41, 3),
      traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    await database.transaction((trx) =>
      outbox.append(trx, [traced, ...Array.from({ length: 20 }, () => large)]),
    );
    const first = await outbox.read(9, from, 1000);
    expect(first[0]).toMatchObject({ source: "events", traceParent: traced.traceParent, shard: 9 });
    expect(Buffer.from(first[0]?.data ?? []).toString()).toBe("41");
    expect(first.length).toBeLessThan(21);
    let read = first.length;
    for (let rest = first; rest.length > 0; read += rest.length) {
      rest = await outbox.read(9, Number(rest.at(-1)?.position), 1000);
    }
    expect(read).toBe(21);
    expect(await outbox.read(9, from + 21, 10)).toEqual([]);
  });

  it("rejects messages that no consumer accepts, and writes nothing", async () => {
    const { database } = harness.producing;
    const before = await outbox.positions();
    const tooLarge = { ...draft(3, 0), data: Buffer.alloc(MESSAGE_DATA_BYTES_MAX + 1) };
    for (const bad of [tooLarge, draft(SHARD_COUNT, 1), draft(-1, 1), draft(1.5, 1), draft(1, 1, -1)]) {
      const appended = database.transaction((trx) => outbox.append(trx, [draft(3, 1), bad]));
      await expect(appended).rejects.toThrow();
    }
    expect(await outbox.positions()).toEqual(before);
  });

  it("counts the backlog of the slowest consumer at once for its own appends, within a second for others'", async () => {
    const { database } = harness.producing;
    const other = await harness.newOutbox(await harness.producing.openAnother());
    const positions = await outbox.positions();
    const ends = await Promise.all(
      positions.map(async (position, shard) => {
        const [last] = position === 0 ? [] : await outbox.read(shard, position - 1, 1);
        return { shard, position, itemsThrough: Number(last?.itemsThrough ?? 0n) };
      }),
    );
    await outbox.reportApplied("quick", ends);
    await outbox.reportApplied("slow", ends);
    // The next poll removes the rolled-back appends of the tests above.
    await waitFor(() => outbox.backlogItems() === 0);

    await database.transaction((trx) => outbox.append(trx, [draft(2, 1, 30), draft(4, 1, 12)]));
    expect(outbox.backlogItems()).toBe(42);
    const end = ends[2] ?? { shard: 2, position: 0, itemsThrough: 0 };
    await outbox.reportApplied("quick", [
      { shard: 2, position: end.position + 1, itemsThrough: end.itemsThrough + 30 },
    ]);
    expect(outbox.backlogItems()).toBe(42);
    await outbox.reportApplied("slow", [
      { shard: 2, position: end.position + 1, itemsThrough: end.itemsThrough + 30 },
    ]);
    expect(outbox.backlogItems()).toBe(12);
    await waitFor(() => other.backlogItems() === 12);

    // A rolled-back append counts as backlog only until the next poll.
    const rolledBack = database.transaction(async (trx) => {
      await outbox.append(trx, [draft(2, 1, 1000)]);
      throw new Error("no");
    });
    await expect(rolledBack).rejects.toThrow("no");
    await waitFor(() => outbox.backlogItems() === 12);
  });

  it("notifies every replica of commits", async () => {
    const other = await harness.newOutbox(await harness.producing.openAnother());
    let notifications = 0;
    const stop = other.onCommitted(() => {
      notifications += 1;
    });
    const before = notifications;
    await append(outbox, harness.producing.database, 1, 5);
    await waitFor(() => notifications > before);
    stop();
  });

  it("trims only messages that are old, published and applied by every consumer", async () => {
    const { database } = harness.producing;
    const producer = await harness.newProducer({ timings: { keepMs: 0, trimEveryMs: 30 } });
    const start = (await outbox.positions())[12] ?? 0;
    await append(outbox, database, 12, 1, 2, 3, 4, 5, 6);
    await outbox.reportApplied("quick", [{ shard: 12, position: start + 6, itemsThrough: 0 }]);
    await outbox.reportApplied("slow", [{ shard: 12, position: start + 2, itemsThrough: 0 }]);
    producer.bus.publishFails = true;
    await producer.relay.start();
    const failed = () =>
      harness.metrics.text().then((text) => /publish_failures_total\{[^}]*\} [1-9]/.test(text));
    await waitFor(failed);
    expect(await countMessages(database.reader, 12)).toBe(start + 6);

    producer.bus.publishFails = false;
    await waitFor(async () => (await countMessages(database.reader, 12)) === 4);
    expect((await outbox.read(12, start + 2, 10)).map((envelope) => Number(envelope.position))).toEqual(
      [3, 4, 5, 6].map((step) => start + step),
    );
    await outbox.reportApplied("slow", [{ shard: 12, position: start + 6, itemsThrough: 0 }]);
    await waitFor(async () => (await countMessages(database.reader, 12)) === 0);
    await append(outbox, database, 12, 7);
    expect((await outbox.positions())[12]).toBe(start + 7);
  });
});

/** Reads from `start` as a relay does, until the writers are done and no message is left. */
async function follow(outbox: Outbox, start: readonly number[], isWriting: () => boolean) {
  const seen = start.map(() => [] as Awaited<ReturnType<Outbox["read"]>>);
  const cursors = [...start];
  for (let more = true; more; ) {
    // SQLite returns at once, and its writers wait for a turn of the event loop between transactions.
    await setImmediate();
    more = isWriting();
    for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
      const envelopes = await outbox.read(shard, cursors[shard] ?? 0, 100);
      seen[shard]?.push(...envelopes);
      cursors[shard] = Number(envelopes.at(-1)?.position ?? cursors[shard] ?? 0);
      more ||= envelopes.length > 0;
    }
  }
  return seen;
}
