import { expect, test } from "vitest";
import { Interruptible } from "./interruptible.ts";

interface Source extends AsyncIterable<number> {
  wasClosed: boolean;
}

/** Gives these numbers, then hangs. */
function source(...numbers: number[]): Source {
  const rest = [...numbers];
  const made: Source = {
    wasClosed: false,
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const value = rest.shift();
        return value === undefined ? new Promise(() => {}) : Promise.resolve({ done: false, value });
      },
      return: async () => {
        made.wasClosed = true;
        return { done: true, value: undefined };
      },
    }),
  };
  return made;
}

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => ({ error }));

test("an abort fails the read that waits, closes the source, and ends what comes after", async () => {
  const controller = new AbortController();
  const from = source(1);
  const messages = new Interruptible(from, controller.signal);
  expect(await messages.next()).toEqual({ done: false, value: 1 });
  const waiting = outcome(messages.next());
  controller.abort("gone");
  expect(await waiting).toEqual({ error: "gone" });
  expect(from.wasClosed).toBe(true);
  expect(await messages.next()).toEqual({ done: true, value: undefined });
});

test("an abort before the first read is not missed", async () => {
  const messages = new Interruptible(source(1), AbortSignal.abort("gone"));
  expect(await outcome(messages.next())).toEqual({ error: "gone" });
});

test("an abort can end the stream instead", async () => {
  const controller = new AbortController();
  const messages = new Interruptible(source(), controller.signal, { endOnAbort: true });
  const waiting = messages.next();
  controller.abort("gone");
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("leaving ends a read that waits for a source that hangs", async () => {
  const from = source();
  const messages = new Interruptible(from, new AbortController().signal);
  const waiting = messages.next();
  expect(await messages.return()).toEqual({ done: true, value: undefined });
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(from.wasClosed).toBe(true);
});

test("a message that fails its check ends the stream before the reader receives it", async () => {
  const from = source(1, 2, 3);
  const messages = new Interruptible(from, new AbortController().signal, {
    check: (value) => {
      if (value === 2) throw new Error("two");
    },
  });
  const seen: number[] = [];
  const reading = async (): Promise<void> => {
    for await (const value of messages) seen.push(value);
  };
  await expect(reading()).rejects.toThrow("two");
  expect(seen).toEqual([1]);
  expect(from.wasClosed).toBe(true);
});
