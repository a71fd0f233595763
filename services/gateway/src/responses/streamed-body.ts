// Writes a streamed body as fast as its client reads, and checks the announced length.
import type { ServerResponse } from "node:http";
import { AssertionError } from "@muster/core";
import type { OutputGuard } from "@muster/rpc";

/** A client makes progress with each slice, also when a piece of the body is larger. */
const SLICE_BYTES = 64 * 1024;

/** Slices of the pieces. Throws unless the pieces have the announced length together. */
export async function* piecesOf(
  pieces: AsyncIterable<Uint8Array>,
  contentLength: string | undefined,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.byteLength;
    if (contentLength !== undefined && bytes > Number(contentLength)) throw wrongLength(contentLength);
    for (let at = 0; at < piece.byteLength; at += SLICE_BYTES) yield piece.subarray(at, at + SLICE_BYTES);
  }
  if (contentLength !== undefined && bytes !== Number(contentLength)) throw wrongLength(contentLength);
}

/**
 * Resolves once everything is written. The last slice is written when the body is known to be whole: a client that
 * counts the announced bytes would take a body for whole whose end then fails.
 */
export async function writePieces(
  response: ServerResponse,
  slices: AsyncIterable<Uint8Array>,
  output: OutputGuard,
): Promise<void> {
  let held: Uint8Array | undefined;
  for await (const slice of slices) {
    if (held !== undefined) await write(response, held, output);
    held = slice;
  }
  if (held !== undefined) await write(response, held, output);
  response.end();
}

async function write(response: ServerResponse, slice: Uint8Array, output: OutputGuard): Promise<void> {
  if (response.destroyed) throw new Error("the client is gone");
  response.write(slice, output.add(slice.byteLength));
  if (output.isFull) await output.room();
}

function wrongLength(contentLength: string): AssertionError {
  return new AssertionError(`the body has not the announced ${contentLength} bytes`);
}
