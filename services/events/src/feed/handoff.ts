// Hands items from a callback that must stay open (a snapshot) to a stream, one at a time: the producer
// waits until the consumer asks for the next, so nothing piles up.

/** Rejects the producer's `put` once the consumer has gone away. */
class ConsumerGone extends Error {
  override name = "ConsumerGone";
}

interface Offer<Item> {
  readonly item: Item;
  readonly taken: () => void;
  readonly gone: (error: Error) => void;
}

export async function* handOff<Item>(
  signal: AbortSignal,
  produce: (put: (item: Item) => Promise<void>) => Promise<void>,
): AsyncGenerator<Item> {
  let offer: Offer<Item> | undefined;
  let isGone = signal.aborted;
  let isDone = false;
  let wake: () => void = () => {};
  const leave = (): void => {
    isGone = true;
    offer?.gone(new ConsumerGone());
  };
  // A consumer that is never asked again does not come back here: its signal must free the producer.
  signal.addEventListener("abort", leave, { once: true });
  const producing = produce(
    (item) =>
      new Promise((taken, gone) => {
        if (isGone) return gone(new ConsumerGone());
        offer = { item, taken, gone };
        wake();
      }),
  ).finally(() => {
    isDone = true;
    wake();
  });
  // Awaited below; until then a rejection must not count as unhandled.
  producing.catch(() => {});
  try {
    while (!isDone || offer !== undefined) {
      const next: Offer<Item> | undefined = offer;
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      yield next.item;
      offer = undefined;
      next.taken();
    }
    await producing;
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
    await producing.catch(() => {});
  }
}
