// Allows the configured origins to call the gateway from browsers; none by default.

export interface CorsRequest {
  readonly method: string;
  readonly origin: string | undefined;
  /** Access-Control-Request-Method of a preflight. */
  readonly requestedMethod: string | undefined;
}

export type CorsHeaders = Readonly<Record<string, string>>;

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS = [
  "authorization",
  "content-type",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "if-range",
  "range",
  "accept-language",
  "muster-consistency",
  "traceparent",
  "x-request-id",
  "connect-protocol-version",
  "connect-timeout-ms",
  "grpc-timeout",
  "x-grpc-web",
  "x-user-agent",
].join(", ");
const RESPONSE_HEADERS = ["etag", "retry-after", "idempotency-replayed"];
const PROTOCOL_HEADERS = ["x-request-id", "grpc-status", "grpc-message", "grpc-status-details-bin"];
const PREFLIGHT_AGE_S = 7200;

export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #responseHeaders: string;

  /** `origins` such as "https://app.example.com"; `responseHeaders` are those of single methods. */
  constructor(origins: readonly string[], responseHeaders: readonly string[]) {
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
    this.#responseHeaders = [...RESPONSE_HEADERS, ...responseHeaders, ...PROTOCOL_HEADERS].join(", ");
  }

  /** Headers for the response to a request of this origin; undefined where no origin is allowed at all. */
  headers({ origin }: CorsRequest): CorsHeaders | undefined {
    if (this.#origins.size === 0) return undefined;
    if (!this.#allows(origin)) return { vary: "origin" };
    return {
      vary: "origin",
      "access-control-allow-origin": origin ?? "",
      "access-control-expose-headers": this.#responseHeaders,
    };
  }

  /**
   * Headers for the response to a preflight; undefined for other requests and origins that are not allowed.
   */
  preflight(request: CorsRequest): CorsHeaders | undefined {
    if (request.method !== "OPTIONS" || request.requestedMethod === undefined) return undefined;
    if (!this.#allows(request.origin)) return undefined;
    return {
      ...this.headers(request),
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": REQUEST_HEADERS,
      "access-control-max-age": String(PREFLIGHT_AGE_S),
    };
  }

  #allows(origin: string | undefined): boolean {
    return origin !== undefined && this.#origins.has(origin.toLowerCase());
  }
}
