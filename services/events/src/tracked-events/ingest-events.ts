// IngestEvents records a stream of events and acknowledges committed sequence numbers. While one submission
// commits, the next buffers arriving events. Reading stops while four submissions are in flight and a fifth
// is full, so flow control also stops the client.
import { create } from "@bufbuild/protobuf";
import {
  type EventService,
  type IngestEventsRequest,
  type IngestEventsResponse,
  IngestEventsResponseSchema,
  type IngestFailure,
  IngestFailureSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { type BidiStreamHandler, type CallContext, errorToProto } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { createSubmission, type EventOutcome, type SubmittedEvent } from "../ingest/submission.ts";
import { readBatchedEvent } from "./read-event-input.ts";

const SUBMISSION_EVENTS_MAX = 1000;
const SUBMISSION_BYTES_MAX = 1024 * 1024;
const SUBMISSIONS_IN_FLIGHT_MAX = 4;
const RETRY_MS = 1000;

export function ingestEvents(deps: EventsDeps): BidiStreamHandler<typeof EventService.method.ingestEvents> {
  return (requests, context) => new IngestStream(deps, context).run(requests);
}

interface Gathered {
  readonly sequence: bigint;
  readonly read: SubmittedEvent | AppError;
}

interface InFlight {
  answer: IngestEventsResponse | undefined;
  error: unknown;
  isDone: boolean;
}

class IngestStream {
  readonly #deps: EventsDeps;
  readonly #context: CallContext;
  #gathered: Gathered[] = [];
  #gatheredBytes = 0;
  /** In sequence order. */
  readonly #inFlight: InFlight[] = [];
  #lastSequence: bigint | undefined;
  #hasEnded = false;
  /** The error that ended reading before the client's end of stream; thrown after all responses were sent. */
  #failure: unknown;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #makeRoom: (() => void) | undefined;

  constructor(deps: EventsDeps, context: CallContext) {
    this.#deps = deps;
    this.#context = context;
  }

  async *run(requests: AsyncIterable<IngestEventsRequest>): AsyncGenerator<IngestEventsResponse> {
    const reading = this.#read(requests);
    try {
      for (;;) {
        this.#submitWhatMay();
        const [first] = this.#inFlight;
        if (first?.isDone) {
          this.#inFlight.shift();
          if (first.answer === undefined) throw first.error;
          yield first.answer;
        } else if (first === undefined && this.#hasEnded && this.#gathered.length === 0) {
          break;
        } else {
          await this.#change();
        }
      }
      await reading;
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#isClosed = true;
      this.#makeRoom?.();
    }
  }

  /** Never rejects. */
  async #read(requests: AsyncIterable<IngestEventsRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        this.#gather(request);
        while (this.#isFull && !this.#isClosed) {
          await new Promise<void>((resolve) => {
            this.#makeRoom = resolve;
          });
        }
        if (this.#isClosed) break;
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#hasEnded = true;
    this.#changed();
  }

  #gather({ sequence, event }: IngestEventsRequest): void {
    const expected = this.#lastSequence === undefined ? sequence : this.#lastSequence + 1n;
    if (sequence !== expected || sequence < 1n) {
      throw invalidField("sequence", `must be ${sequence < 1n ? "at least 1" : `${expected} here`}`);
    }
    this.#lastSequence = sequence;
    const read = readBatchedEvent(event, {
      organizationId: this.#context.organizationId,
      nowMs: this.#deps.clock.nowMs(),
      ids: this.#deps.ids,
      fieldPrefix: "",
    });
    this.#gathered.push({ sequence, read });
    if (!(read instanceof AppError)) this.#gatheredBytes += read.bytes;
    this.#changed();
  }

  get #isFull(): boolean {
    return this.#gathered.length >= SUBMISSION_EVENTS_MAX || this.#gatheredBytes >= SUBMISSION_BYTES_MAX;
  }

  #submitWhatMay(): void {
    const count = this.#inFlight.length;
    const may = count === 0 ? this.#gathered.length > 0 : this.#isFull && count < SUBMISSIONS_IN_FLIGHT_MAX;
    if (!may) return;
    const entry: InFlight = { answer: undefined, error: undefined, isDone: false };
    this.#inFlight.push(entry);
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#makeRoom?.();
    this.#commit(gathered)
      .then(
        (answer) => {
          entry.answer = answer;
        },
        (error: unknown) => {
          entry.error = error;
        },
      )
      .finally(() => {
        entry.isDone = true;
        this.#changed();
      });
  }

  async #commit(gathered: readonly Gathered[]): Promise<IngestEventsResponse> {
    const good: SubmittedEvent[] = [];
    for (const { read } of gathered) if (!(read instanceof AppError)) good.push(read);
    const outcomes = good.length === 0 ? [] : await this.#submit(good);
    const failures: IngestFailure[] = [];
    let next = 0;
    for (const { sequence, read } of gathered) {
      const outcome =
        read instanceof AppError ? { status: "rejected" as const, error: read } : outcomes[next++];
      if (outcome?.status === "rejected") {
        failures.push(create(IngestFailureSchema, { sequence, error: errorToProto(outcome.error) }));
      }
    }
    return create(IngestEventsResponseSchema, { ackedThrough: gathered.at(-1)?.sequence ?? 0n, failures });
  }

  /** A stream waits where a single call fails with OVERLOADED: flow control stops the client meanwhile. */
  async #submit(events: readonly SubmittedEvent[]): Promise<readonly EventOutcome[]> {
    const { organizationId, traceParent, signal } = this.#context;
    const submission = createSubmission(organizationId, events, { traceParent });
    for (;;) {
      try {
        return await this.#deps.ingest.submit(submission, "batch");
      } catch (error) {
        if (!(error instanceof AppError) || error.reason !== "OVERLOADED" || this.#isClosed) throw error;
        await this.#deps.clock.sleep(error.retryAfterMs ?? RETRY_MS, signal);
        if (signal.aborted) throw new AppError("CANCELLED");
      }
    }
  }

  #changed(): void {
    this.#wake?.();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
