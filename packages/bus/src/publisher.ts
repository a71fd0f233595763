// Publishes to a stream and waits for the broker's acknowledgments: one inbox for all messages, and one timer
// per window. The client library's request creates an error and a timer for each message.
import type { Clock } from "@muster/core";
import { createInbox, headers, type Msg, type NatsConnection } from "nats";

export interface Outgoing {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Id by which the broker drops repeats. */
  readonly messageId: string;
}

type OnReply = (error: Error | undefined) => void;

const MESSAGE_ID_HEADER = "Nats-Msg-Id";
const NO_RESPONDERS = 503;
/** A ready-made abort reason saves creating a DOMException for every window. */
const DONE = "done";

export class Publisher {
  readonly #connection: NatsConnection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, OnReply>();
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
   * Sends all messages at once. Resolves when the broker has stored all of them. Rejects only once every
   * message has a reply or has timed out, so that none is still in transit after the rejection.
   */
  async publish(window: readonly Outgoing[]): Promise<void> {
    const replies: string[] = [];
    const done = new AbortController();
    let failure: Error | undefined;
    let open = window.length;
    const onReply = (reply: string, error: Error | undefined): void => {
      this.#waiting.delete(reply);
      failure ??= error;
      open -= 1;
      if (open === 0) done.abort(DONE);
    };
    try {
      for (const { subject, payload, messageId } of window) {
        this.#sent += 1;
        const reply = `${this.#inbox}.${this.#sent}`;
        replies.push(reply);
        this.#waiting.set(reply, (error) => onReply(reply, error));
        const head = headers();
        head.set(MESSAGE_ID_HEADER, messageId);
        this.#connection.publish(subject, payload, { reply, headers: head });
      }
      await this.#clock.sleep(this.#timeoutMs, done.signal);
    } finally {
      for (const reply of replies) this.#waiting.delete(reply);
    }
    if (failure !== undefined) throw failure;
    if (open > 0) throw new Error(`${open} messages were not acknowledged in time`);
  }
}

/** Returns why the broker rejected a message; undefined if it stored the message. */
function refusal(message: Msg): Error | undefined {
  if (message.headers?.code === NO_RESPONDERS) return new Error("no stream has the subject");
  try {
    const { error, stream } = message.json<{
      readonly error?: { readonly code?: number; readonly description?: string };
      readonly stream?: string;
    }>();
    if (error !== undefined)
      return new Error(`the broker rejected the message: ${error.description ?? error.code}`);
    return stream === undefined || stream === ""
      ? new Error("the broker's reply names no stream")
      : undefined;
  } catch (cause) {
    return new Error("the broker's reply cannot be read", { cause });
  }
}
