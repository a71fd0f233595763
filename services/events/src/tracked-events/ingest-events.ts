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
import type { EventsDeps } from "../handlers/deps.ts";
import { readBatchedEvent } from "../ingest/read-event-input.ts";
import { createSubmission, type EventOutcome, type SubmittedEvent } from "../ingest/submission.ts";

const SUBMISSION_EVENTS_MAX = 1000;
const SUBMISSION_BYTES_MAX = 1024 * 1024;
const SUBMISSIONS_IN_FLIGHT_MAX = 4;
const RETRY_MS = 1000;

export function ingestEvents(deps: EventsDeps): BidiStreamHandler<typeof EventService.method.ingestEvents> {
  return (requests, context) => new IngestStream(deps, context).run(requests);
}

interface BufferedEvent {
  readonly sequence: bigint;
  readonly read: SubmittedEvent | AppError;
}

interface InFlight {
  response: IngestEventsResponse | undefined;
  error: unknown;
  isDone: boolean;
}

class IngestStream {
  readonly #deps: EventsDeps;
  readonly #context: CallContext;
  #buffered: BufferedEvent[] = [];
  #bufferedBytes = 0;
  /** In sequence order. */
  readonly #inFlight: InFlight[] = [];
  #lastSequence: bigint | undefined;
  #hasEnded = false;
  /** The error that ended reading before the client's end of stream; thrown after all responses were sent. */
  #failure: unknown;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #resumeReading: (() => void) | undefined;

  constructor(deps: EventsDeps, context: CallContext) {
    this.#deps = deps;
    this.#context = context;
  }

  async *run(requests: AsyncIterable<IngestEventsRequest>): AsyncGenerator<IngestEventsResponse> {
    const reading = this.#read(requests);
    try {
      for (;;) {
        this.#submitIfDue();
        const [first] = this.#inFlight;
        if (first?.isDone) {
          this.#inFlight.shift();
          if (first.response === undefined) throw first.error;
          yield first.response;
        } else if (first === undefined && this.#hasEnded && this.#buffered.length === 0) {
          break;
        } else {
          await this.#waitForChange();
        }
      }
      await reading;
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#isClosed = true;
      this.#resumeReading?.();
    }
  }

  /** Never rejects. */
  async #read(requests: AsyncIterable<IngestEventsRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        this.#buffer(request);
        while (this.#isFull && !this.#isClosed) {
          await new Promise<void>((resolve) => {
            this.#resumeReading = resolve;
          });
        }
        if (this.#isClosed) break;
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#hasEnded = true;
    this.#signalChange();
  }

  #buffer({ sequence, event }: IngestEventsRequest): void {
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
    this.#buffered.push({ sequence, read });
    if (!(read instanceof AppError)) this.#bufferedBytes += read.bytes;
    this.#signalChange();
  }

  get #isFull(): boolean {
    return this.#buffered.length >= SUBMISSION_EVENTS_MAX || this.#bufferedBytes >= SUBMISSION_BYTES_MAX;
  }

  #submitIfDue(): void {
    const count = this.#inFlight.length;
    const isDue = count === 0 ? this.#buffered.length > 0 : this.#isFull && count < SUBMISSIONS_IN_FLIGHT_MAX;
    if (!isDue) return;
    const entry: InFlight = { response: undefined, error: undefined, isDone: false };
    this.#inFlight.push(entry);
    const buffered = this.#buffered;
    this.#buffered = [];
    this.#bufferedBytes = 0;
    this.#resumeReading?.();
    this.#commit(buffered)
      .then(
        (response) => {
          entry.response = response;
        },
        (error: unknown) => {
          entry.error = error;
        },
      )
      .finally(() => {
        entry.isDone = true;
        this.#signalChange();
      });
  }

  async #commit(buffered: readonly BufferedEvent[]): Promise<IngestEventsResponse> {
    const valid: SubmittedEvent[] = [];
    for (const { read } of buffered) if (!(read instanceof AppError)) valid.push(read);
    const outcomes = valid.length === 0 ? [] : await this.#submit(valid);
    const failures: IngestFailure[] = [];
    let next = 0;
    for (const { sequence, read } of buffered) {
      const outcome =
        read instanceof AppError ? { status: "rejected" as const, error: read } : outcomes[next++];
      if (outcome?.status === "rejected") {
        failures.push(create(IngestFailureSchema, { sequence, error: errorToProto(outcome.error) }));
      }
    }
    return create(IngestEventsResponseSchema, { ackedThrough: buffered.at(-1)?.sequence ?? 0n, failures });
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
        if (signal.aborted) throw new AppError("CANCELED");
      }
    }
  }

  #signalChange(): void {
    this.#wake?.();
  }

  async #waitForChange(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
