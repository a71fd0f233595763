// Hands items from a callback that must stay open (a snapshot) to a stream, one at a time: the producer
// waits until the consumer has taken what it offered, so nothing piles up.

/** Rejects the producer's `put` once the consumer has gone away. */
export class ConsumerGone extends Error {
  override name = "ConsumerGone";
}

export async function* handOff<Item>(
  produce: (put: (item: Item) => Promise<void>) => Promise<void>,
): AsyncGenerator<Item> {
  let offered:
    | { readonly item: Item; readonly taken: () => void; readonly gone: (e: Error) => void }
    | undefined;
  let isGone = false;
  let wake: () => void = () => {};
  const put = (item: Item): Promise<void> =>
    new Promise((taken, gone) => {
      if (isGone) return gone(new ConsumerGone());
      offered = { item, taken, gone };
      wake();
    });
  let isDone = false;
  const producing = produce(put).finally(() => {
    isDone = true;
    wake();
  });
  // Awaited below; until then a rejection must not count as unhandled.
  producing.catch(() => {});
  try {
    for (;;) {
      if (offered !== undefined) {
        const { item, taken } = offered;
        offered = undefined;
        yield item;
        taken();
      } else if (isDone) {
        break;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = () => {};
      }
    }
    await producing;
  } finally {
    isGone = true;
    offered?.gone(new ConsumerGone());
    await producing.catch(() => {});
  }
}
