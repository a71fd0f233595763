// Publishes to a stream and waits for the broker's acknowledgements: one inbox for all, and one timer
// for a window of messages, where the client library's request makes an error and a timer for each.
import type { Clock } from "@muster/core";
import { createInbox, headers, type Msg, type NatsConnection } from "nats";

export interface Outgoing {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** By which the broker drops repeats. */
  readonly messageId: string;
}

type Answered = (error: Error | undefined) => void;

const MESSAGE_ID_HEADER = "Nats-Msg-Id";
const NO_RESPONDERS = 503;
/** A ready-made reason spares every window a DOMException. */
const SETTLED = "settled";

export class Publisher {
  readonly #connection: NatsConnection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, Answered>();
  #sent = 0;

  constructor(connection: NatsConnection, clock: Clock, timeoutMs: number) {
    this.#connection = connection;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#waiting.get(message.subject)?.(refusal(message));
      },
    });
  }

  /**
   * Sends all at once. Resolves when the broker has taken them all; otherwise rejects when every one is
   * answered or has timed out, so that none is still on its way when the failure is told.
   */
  async publish(window: readonly Outgoing[]): Promise<void> {
    const replies: string[] = [];
    const settled = new AbortController();
    let failure: Error | undefined;
    let open = window.length;
    const answer = (reply: string, error: Error | undefined): void => {
      this.#waiting.delete(reply);
      failure ??= error;
      open -= 1;
      if (open === 0) settled.abort(SETTLED);
    };
    try {
      for (const { subject, payload, messageId } of window) {
        this.#sent += 1;
        const reply = `${this.#inbox}.${this.#sent}`;
        replies.push(reply);
        this.#waiting.set(reply, (error) => answer(reply, error));
        const head = headers();
        head.set(MESSAGE_ID_HEADER, messageId);
        this.#connection.publish(subject, payload, { reply, headers: head });
      }
      await this.#clock.sleep(this.#timeoutMs, settled.signal);
    } finally {
      for (const reply of replies) this.#waiting.delete(reply);
    }
    if (failure !== undefined) throw failure;
    if (open > 0) throw new Error(`${open} messages were not acknowledged in time`);
  }
}

/** Why the broker did not take a message; undefined if it did. */
function refusal(message: Msg): Error | undefined {
  if (message.headers?.code === NO_RESPONDERS) return new Error("no stream takes the subject");
  try {
    const { error, stream } = message.json<{
      readonly error?: { readonly code?: number; readonly description?: string };
      readonly stream?: string;
    }>();
    if (error !== undefined) return new Error(`the broker refused: ${error.description ?? error.code}`);
    return stream === undefined || stream === ""
      ? new Error("the broker's answer names no stream")
      : undefined;
  } catch (cause) {
    return new Error("the broker's answer cannot be read", { cause });
  }
}
