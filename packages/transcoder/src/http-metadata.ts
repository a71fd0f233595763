// Names the metadata with which a handler of a streamed body reads the HTTP request and sets response headers. HTTP's
// own names are not used: HTTP/2 would take `content-length` as the length of the gRPC messages.

const PREFIX = "muster-http-";

/** Status of the response. */
export const HTTP_STATUS = `${PREFIX}status`;
/** Method of the request, GET or HEAD. */
export const HTTP_METHOD = `${PREFIX}method`;
/** Range and If-Range of the request. */
export const HTTP_RANGE = `${PREFIX}range`;
export const HTTP_IF_RANGE = `${PREFIX}if-range`;

/** Headers of the response that a handler of a streamed body may set. */
const BODY_HEADERS = [
  "content-type",
  "content-length",
  "content-range",
  "content-disposition",
  "accept-ranges",
  "etag",
] as const;
export type BodyHeader = (typeof BODY_HEADERS)[number];

/** The metadata that sets the header. */
export function metadataOfHeader(header: BodyHeader): string {
  return PREFIX + header;
}

/** The headers that the metadata of a response sets. */
export function bodyHeadersOf(metadata: ReadonlyMap<string, string>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const header of BODY_HEADERS) {
    const value = metadata.get(metadataOfHeader(header));
    if (value !== undefined) headers[header] = value;
  }
  return headers;
}
