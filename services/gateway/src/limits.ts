// What one client may take of the gateway.
import { BODY_BYTES_MAX } from "@muster/core";

export interface HttpLimits {
  /** All headers of a request together. */
  readonly headerBytesMax: number;
  /** Path and query. */
  readonly urlBytesMax: number;
  /** A body, as sent and after inflation. */
  readonly bodyBytesMax: number;
  /** Bodies that are being read or handled, together; above it requests are turned away. */
  readonly bodiesBytesMax: number;
  /** Of a refused body, how much more is read so that the client sees the answer rather than a reset. */
  readonly discardBytesMax: number;
  /** From the first byte to the last header. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** How long nothing may move on a connection whose answer is being written. */
  readonly idleTimeoutMs: number;
  /** How often the timeouts above are looked at. */
  readonly timeoutCheckMs: number;
  /** The deadline of a REST request, and of a unary call that brings none. */
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
