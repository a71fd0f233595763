// Declares the limits of the gateway per client.
import { BODY_BYTES_MAX } from "@muster/core";

export interface HttpLimits {
  /** All headers of a request together. */
  readonly headerBytesMax: number;
  /** Path and query. */
  readonly urlBytesMax: number;
  /** A body, as sent and after inflation. */
  readonly bodyBytesMax: number;
  /** Total size of the bodies that are being read or handled; requests beyond it are refused. */
  readonly bodiesBytesMax: number;
  /**
   * Bytes of a refused body that are still read, so that the client receives the response rather than a
   * reset.
   */
  readonly discardBytesMax: number;
  /** From the first byte to the last header. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Longest time without progress on a connection whose response is being written. */
  readonly idleTimeoutMs: number;
  /** Interval at which the timeouts above are checked. */
  readonly timeoutCheckMs: number;
  /** The deadline of a REST request, and of a unary call without a deadline. */
  readonly deadlineMs: number;
}

export const defaultLimits: HttpLimits = {
  headerBytesMax: 16 * 1024,
  urlBytesMax: 8 * 1024,
  bodyBytesMax: BODY_BYTES_MAX,
  bodiesBytesMax: 256 * 1024 * 1024,
  discardBytesMax: 32 * 1024 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  idleTimeoutMs: 60_000,
  timeoutCheckMs: 1_000,
  deadlineMs: 30_000,
};
