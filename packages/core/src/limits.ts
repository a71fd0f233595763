// Declares the limits that several packages share. The unit comes last in each name.

/** A REST body after inflation, and a gRPC message. */
export const BODY_BYTES_MAX = 4 * 1024 * 1024;
/** The body of a public method, as sent and after inflation, and its message over gRPC. */
export const PUBLIC_BODY_BYTES_MAX = 16 * 1024;
/** Size of a tracked event, encoded, on every mount. */
export const EVENT_BYTES_MAX = 128 * 1024;
/** Size of a bus message, encoded. */
export const MESSAGE_BYTES_MAX = 512 * 1024;
/** Nesting of any JSON that a caller sends. */
export const JSON_DEPTH_MAX = 64;
/** Values of a JSON body: objects, arrays, strings, numbers and words together. */
export const JSON_VALUES_MAX = 250_000;
/** Keys of one object in a JSON body. */
export const JSON_KEYS_MAX = 10_000;
export const PAGE_SIZE_DEFAULT = 50;
/** Size of a page of a list as REST encodes it. Leaves room below the 4 MiB that stock gRPC clients accept. */
export const PAGE_BYTES_MAX = 3.5 * 1024 * 1024;
/** Longest time for which a read waits until acknowledged writes are visible. */
export const CONSISTENCY_WAIT_MS_MAX = 10_000;
/** Idempotency-Key header, in bytes. */
export const IDEMPOTENCY_KEY_BYTES_MAX = 255;
