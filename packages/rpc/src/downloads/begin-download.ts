// Sets the HTTP headers of a streamed body, and chooses the bytes that the client wants.
import { AppError } from "@muster/errors";
import {
  type BodyHeader,
  HTTP_IF_RANGE,
  HTTP_METHOD,
  HTTP_RANGE,
  HTTP_STATUS,
  metadataOfHeader,
} from "@muster/transcoder";
import type { CallContext } from "../handler.ts";
import { parseRange } from "./byte-range.ts";

/** A body to stream. With a size and an entity tag, clients may request a part. */
export interface Download {
  readonly contentType: string;
  /** Bytes of the whole body; undefined where the size is unknown before the end. */
  readonly size?: number | undefined;
  /** Opaque text without quotes, which differs between any two bodies. */
  readonly etag?: string | undefined;
  /** Name under which a browser saves the body. */
  readonly fileName?: string | undefined;
}

/** The bytes to send: `start` to before `end`, which is Infinity where the size is unknown. */
export interface DownloadPart {
  readonly start: number;
  readonly end: number;
  /** The client wants the headers alone: send no message, and change nothing. */
  readonly isHead: boolean;
  /** The response is 200 with every byte, and not 206. */
  readonly isWhole: boolean;
  /** The client holds the entity tag: it continues a transfer of this very body. */
  readonly isConditional: boolean;
}

const PARTIAL_CONTENT = "206";

/** Call before the first message. Throws RANGE_NOT_SATISFIABLE. */
export function beginDownload(
  { requestHeaders, responseHeaders }: Pick<CallContext, "requestHeaders" | "responseHeaders">,
  { contentType, size, etag, fileName }: Download,
): DownloadPart {
  const set = (header: BodyHeader, value: string): void => {
    responseHeaders.set(metadataOfHeader(header), value);
  };
  const isHead = requestHeaders.get(HTTP_METHOD) === "HEAD";
  set("content-type", contentType);
  if (fileName !== undefined) set("content-disposition", dispositionOf(fileName));
  if (etag !== undefined) set("etag", `"${etag}"`);
  if (size === undefined || etag === undefined) {
    if (size !== undefined) set("content-length", String(size));
    set("accept-ranges", "none");
    return { start: 0, end: size ?? Number.POSITIVE_INFINITY, isHead, isWhole: true, isConditional: false };
  }
  set("accept-ranges", "bytes");
  const condition = requestHeaders.get(HTTP_IF_RANGE);
  const isConditional = condition === `"${etag}"`;
  const isStale = condition !== undefined && !isConditional;
  const range = isStale ? undefined : parseRange(requestHeaders.get(HTTP_RANGE), size);
  if (range === "unsatisfiable")
    throw new AppError("RANGE_NOT_SATISFIABLE", { details: { size: String(size) } });
  const { start, end } = range ?? { start: 0, end: size };
  set("content-length", String(end - start));
  if (range !== undefined) {
    responseHeaders.set(HTTP_STATUS, PARTIAL_CONTENT);
    set("content-range", `bytes ${start}-${end - 1}/${size}`);
  }
  return { start, end, isHead, isWhole: range === undefined, isConditional };
}

/** RFC 6266: the plain name for old clients, the exact name for others. */
function dispositionOf(fileName: string): string {
  const plain = fileName.replace(/[^\w.() -]/g, "_");
  const exact = encodeURIComponent(fileName.toWellFormed()).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16)}`,
  );
  return plain === fileName
    ? `attachment; filename="${plain}"`
    : `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
