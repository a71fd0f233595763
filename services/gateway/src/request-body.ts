// Reads and inflates a request's body within the limits on memory.
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { AppError } from "@muster/errors";
import type { HttpLimits } from "./limits.ts";

const inflaters = new Map([
  ["gzip", promisify(gunzip)],
  ["x-gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["br", promisify(brotliDecompress)],
]);

/** Total bytes of bodies in memory, over all requests. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Throws OVERLOADED where the bytes exceed the budget. */
  reserve(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) throw new AppError("OVERLOADED", { retryAfterMs: 1_000 });
    this.#bytes += bytes;
  }

  free(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export interface RequestBody {
  readonly bytes: Uint8Array;
  /** Must be called once the body is no longer needed. */
  release(): void;
}

const EMPTY: RequestBody = { bytes: new Uint8Array(0), release: () => {} };

/** Whether Content-Length alone shows that the body is too large. */
export function declaresTooLarge(request: IncomingMessage, limits: HttpLimits): boolean {
  return Number(request.headers["content-length"] ?? 0) > limits.bodyBytesMax;
}

/**
 * Rejects with TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, OVERLOADED, or CANCELED when the client
 * disconnects.
 */
export async function readBody(
  request: IncomingMessage,
  limits: HttpLimits,
  budget: BodyBudget,
): Promise<RequestBody> {
  const { "content-length": length, "transfer-encoding": transfer } = request.headers;
  if (transfer === undefined && (length === undefined || length === "0")) return EMPTY;
  let reserved = 0;
  const reserve = (bytes: number): void => {
    budget.reserve(bytes);
    reserved += bytes;
  };
  const release = (): void => {
    budget.free(reserved);
    reserved = 0;
  };
  try {
    const sent = await collect(request, limits, reserve);
    const bytes = await inflated(sent, request.headers["content-encoding"], limits);
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
  limits: HttpLimits,
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
    if (declaresTooLarge(request, limits)) refuse(tooLarge(limits));
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.discardBytesMax) request.destroy();
      if (refused) return;
      if (bytes > limits.bodyBytesMax) return refuse(tooLarge(limits));
      try {
        reserve(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        refuse(error);
      }
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", () => refuse(new AppError("CANCELED")));
    request.on("close", () => {
      if (!request.complete) refuse(new AppError("CANCELED"));
    });
  });
}

async function inflated(sent: Buffer, encoding: string | undefined, limits: HttpLimits): Promise<Buffer> {
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
    return await inflater(sent, { maxOutputLength: limits.bodyBytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limits);
    throw new AppError("REQUEST_MALFORMED", { message: `The body is not valid ${name}.` });
  }
}

function tooLarge(limits: HttpLimits): AppError {
  const mebibytes = limits.bodyBytesMax / (1024 * 1024);
  return new AppError("TOO_LARGE", { message: `A body is at most ${mebibytes} MiB after inflation.` });
}
