// Reads and inflates a request's body within the limits on memory and time.
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { AppError } from "@muster/errors";
import type { ByteBudget } from "./byte-budget.ts";
import type { HttpLimits } from "./limits.ts";

const inflaters = new Map([
  ["gzip", promisify(gunzip)],
  ["x-gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["br", promisify(brotliDecompress)],
]);

export interface RequestBody {
  readonly bytes: Uint8Array;
  /** Must be called once the body is no longer needed. */
  release(): void;
}

export interface BodyOptions {
  readonly limits: HttpLimits;
  readonly budget: ByteBudget;
  /** Whose share of the budget the body takes. */
  readonly owner: string;
  /** As sent and after inflation. */
  readonly bytesMax: number;
  /** False for protocols that compress each message by itself. */
  readonly inflates: boolean;
}

const EMPTY: RequestBody = { bytes: new Uint8Array(0), release: () => {} };

/** The body did not arrive in time. Its HTTP status is 408, which no reason has. */
export class BodyTooSlow extends AppError {
  readonly status = 408;

  constructor() {
    super("DEADLINE_EXCEEDED", { message: "The request took too long to arrive." });
  }
}

/** Whether the client waits for a 100 before it sends the body. */
export function awaitsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === "1.1" && headers.expect?.toLowerCase() === "100-continue";
}

/**
 * Rejects with TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, OVERLOADED, BodyTooSlow, or CANCELED when
 * the client disconnects.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  options: BodyOptions,
): Promise<RequestBody> {
  const { budget, owner, bytesMax } = options;
  const { "content-length": length, "transfer-encoding": transfer } = request.headers;
  if (transfer === undefined && (length === undefined || length === "0")) return EMPTY;
  if (Number(length ?? 0) > bytesMax) throw tooLarge(bytesMax);
  if (awaitsContinue(request)) response.writeContinue();
  let reserved = 0;
  const reserve = (bytes: number): void => {
    budget.reserve(owner, bytes);
    reserved += bytes;
  };
  const release = (): void => {
    budget.free(owner, reserved);
    reserved = 0;
  };
  try {
    const sent = await collect(request, options, reserve);
    const bytes = options.inflates
      ? await inflated(sent, request.headers["content-encoding"], bytesMax)
      : sent;
    if (bytes !== sent) reserve(bytes.length);
    return { bytes, release };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * Continues to read and discard after a refusal: a client that is still sending would not receive the
 * response.
 */
function collect(
  request: IncomingMessage,
  { limits, bytesMax }: BodyOptions,
  reserve: (bytes: number) => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let refused = false;
    const refuse = (error: unknown): void => {
      refused = true;
      chunks.length = 0;
      reject(error);
    };
    request.setTimeout(limits.bodyIdleTimeoutMs, () => {
      if (refused) request.destroy();
      else refuse(new BodyTooSlow());
    });
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.discardBytesMax) request.destroy();
      if (refused) return;
      if (bytes > bytesMax) return refuse(tooLarge(bytesMax));
      try {
        reserve(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        refuse(error);
      }
    });
    request.on("end", () => {
      request.socket.setTimeout(0);
      resolve(Buffer.concat(chunks));
    });
    request.on("error", () => refuse(new AppError("CANCELED")));
    request.on("close", () => {
      if (!request.complete) refuse(new AppError("CANCELED"));
    });
  });
}

/** Reads and discards the rest of a refused body, so that the next request of the connection can be read. */
export function discardBody(request: IncomingMessage, limits: HttpLimits): void {
  if (request.complete || request.listenerCount("data") > 0) return;
  let bytes = 0;
  request.setTimeout(limits.bodyIdleTimeoutMs, () => request.destroy());
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.discardBytesMax) request.destroy();
  });
  request.on("error", () => {});
}

async function inflated(sent: Buffer, encoding: string | undefined, bytesMax: number): Promise<Buffer> {
  const name = (encoding ?? "identity").trim().toLowerCase();
  if (name === "identity" || name === "") return sent;
  const inflater = inflaters.get(name);
  if (inflater === undefined) {
    throw new AppError("MEDIA_TYPE_UNSUPPORTED", {
      message: "Send gzip, deflate or br, or no Content-Encoding.",
    });
  }
  try {
    // Stops as soon as the output exceeds the limit.
    return await inflater(sent, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(bytesMax);
    throw new AppError("REQUEST_MALFORMED", { message: `The body is not valid ${name}.` });
  }
}

function tooLarge(bytesMax: number): AppError {
  return new AppError("TOO_LARGE", {
    message: `A body is at most ${bytesMax} bytes here, also after inflation.`,
    details: { limit_bytes: String(bytesMax) },
  });
}
