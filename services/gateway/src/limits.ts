// Declares the limits of the gateway per client.
import type { DescMethod } from "@bufbuild/protobuf";
import { BODY_BYTES_MAX, CONSISTENCY_WAIT_MS_MAX, PUBLIC_BODY_BYTES_MAX } from "@muster/core";
import { isPublic, OUTPUT_LIMITS, type OutputLimits } from "@muster/rpc";
import type { ByteLimits } from "./byte-budget.ts";

const MIB = 1024 * 1024;

export interface HttpLimits {
  /** All headers of a request together. */
  readonly headerBytesMax: number;
  /** Path and query. */
  readonly urlBytesMax: number;
  /** A body, as sent and after inflation. */
  readonly bodyBytesMax: number;
  /** The same for public methods. */
  readonly publicBodyBytesMax: number;
  /** Pipelined requests that wait on a connection; a connection with more is cut. */
  readonly waitingRequestsMax: number;
  /** Bodies that are being read or handled; requests beyond it are refused. */
  readonly bodies: ByteLimits;
  /** Responses that clients have not taken yet; requests beyond it are refused. */
  readonly responses: ByteLimits;
  /**
   * Bytes of a refused body that are still read, so that the client receives the response rather than a
   * reset.
   */
  readonly discardBytesMax: number;
  /** From the first byte to the last header. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  /** Longest time between two pieces of a body. */
  readonly bodyIdleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Longest time without progress while a client reads a response. */
  readonly idleTimeoutMs: number;
  /** Longest time for a client to read a response that is not a stream. */
  readonly responseTimeoutMs: number;
  /** Unread output of a stream. */
  readonly streams: OutputLimits;
  /** Time in which a client that stalled may still read the last frame of a stream. */
  readonly stalledTimeoutMs: number;
  /** Interval at which the timeouts above are checked. */
  readonly timeoutCheckMs: number;
  /** The deadline of a REST request whose method sets no deadline. */
  readonly deadlineMs: number;
  /** Longest time of a read, on every protocol. */
  readonly readDeadlineMs: number;
}

export const defaultLimits: HttpLimits = {
  headerBytesMax: 16 * 1024,
  urlBytesMax: 8 * 1024,
  bodyBytesMax: BODY_BYTES_MAX,
  publicBodyBytesMax: PUBLIC_BODY_BYTES_MAX,
  waitingRequestsMax: 256,
  bodies: { bytesMax: 256 * MIB, shareBytesMax: 64 * MIB },
  responses: { bytesMax: 128 * MIB, shareBytesMax: 32 * MIB },
  discardBytesMax: 32 * MIB,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  bodyIdleTimeoutMs: 5_000,
  keepAliveTimeoutMs: 65_000,
  idleTimeoutMs: 60_000,
  responseTimeoutMs: 300_000,
  streams: OUTPUT_LIMITS,
  stalledTimeoutMs: 5_000,
  timeoutCheckMs: 1_000,
  deadlineMs: 30_000,
  readDeadlineMs: CONSISTENCY_WAIT_MS_MAX,
};

/** The most bytes of a body, as sent and after inflation. */
export function bodyBytesMaxOf(method: DescMethod | undefined, limits: HttpLimits): number {
  return method !== undefined && isPublic(method) ? limits.publicBodyBytesMax : limits.bodyBytesMax;
}
