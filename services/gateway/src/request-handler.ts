// Routes each request to probes, preflights, Connect and gRPC-Web, or REST.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import type { Principal } from "@muster/authz";
import { http } from "@muster/contracts/google/api/annotations_pb";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { StoredMails } from "@muster/mail";
import {
  type Admission,
  type ConnectHandler,
  ENVELOPE_BYTES,
  isEndless,
  type OpenCalls,
  REQUEST_ID,
} from "@muster/rpc";
import { type RestResponse, renderError, type Transcoder } from "@muster/transcoder";
import type { AccessLog } from "./access-log.ts";
import { type ByteBudget, overloaded } from "./byte-budget.ts";
import { type CallMetadataDeps, isIgnored, metadataOf, withCredentials } from "./callers/call-metadata.ts";
import { headerOf } from "./callers/header-of.ts";
import type { Cors, CorsRequest } from "./cors.ts";
import { type Exchange, isRead, MethodNotAllowed, ownerOf } from "./exchange.ts";
import { adoptRequestId, pathOf, stripInternals, targetOf } from "./incoming.ts";
import { bodyBytesMaxOf, type HttpLimits } from "./limits.ts";
import { type PageCall, routeMailPage } from "./pages/mail-pages.ts";
import { respondToStoredMails } from "./pages/stored-mail-pages.ts";
import { type ProbeDeps, respondToProbe } from "./probes.ts";
import { BodyTooSlow, discardBody, type RequestBody, readBody } from "./request-body.ts";
import type { ResponseWriter, WholeResponse } from "./response-writer.ts";

const RPC_ALLOW = "OPTIONS, POST";

export interface RequestHandlerDeps extends ProbeDeps, CallMetadataDeps {
  readonly clock: Clock;
  readonly limits: HttpLimits;
  readonly bodies: ByteBudget;
  readonly writer: ResponseWriter;
  readonly admission: Admission;
  readonly transcoder: Transcoder;
  readonly connect: ConnectHandler;
  readonly cors: Cors;
  readonly accessLog: AccessLog;
  readonly newRequestId: () => string;
  readonly calls: OpenCalls;
  /** Begins the links of mails. */
  readonly publicUrl: string | undefined;
  readonly storedMails: StoredMails | undefined;
}

export class RequestHandler {
  readonly #deps: RequestHandlerDeps;

  constructor(deps: RequestHandlerDeps) {
    this.#deps = deps;
  }

  /** Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request;
    stripInternals(headers);
    const requestId = adoptRequestId(headers, this.#deps.newRequestId);
    const call = this.#deps.calls.open(this.#isEndless(request));
    response.once("close", () => {
      if (!response.writableFinished) call.abort(CLIENT_GONE);
      call.close();
    });
    const exchange: Exchange = {
      request,
      response,
      requestId,
      method: request.method ?? "",
      finish: this.#deps.accessLog.begin(),
      call,
      owner: "",
    };
    response.setHeader(REQUEST_ID, requestId);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    this.#route(exchange).catch((error: unknown) => this.#fail(exchange, error));
  }

  #isEndless({ url = "" }: IncomingMessage): boolean {
    const method = this.#deps.connect.find(pathOf(url));
    return method !== undefined && isEndless(method);
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request, method } = exchange;
    const target = targetOf(request, this.#deps.limits);
    const path = pathOf(target);
    if (this.#handleCors(exchange)) return;
    const probe = await respondToProbe(path, method, this.#deps);
    if (probe !== undefined) {
      if ("allow" in probe) throw new MethodNotAllowed(probe.allow);
      return this.#send(exchange, probe, path);
    }
    if (await this.#servePage(exchange, path)) return;
    if (this.#deps.connect.handles(path)) await this.#callRpc(exchange, path);
    else await this.#callRest(exchange, target);
  }

  /** Serves /m/… and /dev/mail; false for other paths. */
  async #servePage(exchange: Exchange, path: string): Promise<boolean> {
    const { method, request } = exchange;
    const { publicUrl, storedMails } = this.#deps;
    const { headers, socket } = request;
    const page = routeMailPage({ path, method, headers }, publicUrl);
    if (page?.kind === "call") {
      await this.#callRest(exchange, page.call.url, { ...page.call, path });
      return true;
    }
    const client = { remoteAddress: socket.remoteAddress, headers };
    const shown = page ?? (await respondToStoredMails({ path, method }, client, storedMails));
    if (shown === undefined) return false;
    if ("allow" in shown) throw new MethodNotAllowed(shown.allow);
    this.#send(exchange, shown.response, "route" in shown ? shown.route : path);
    return true;
  }

  /** Sets the headers for pages of other origins; true if the request was a preflight. */
  #handleCors(exchange: Exchange): boolean {
    const { headers } = exchange.request;
    const corsRequest: CorsRequest = {
      method: exchange.method,
      origin: headerOf(headers, "origin"),
      requestedMethod: headerOf(headers, "access-control-request-method"),
    };
    const preflight = this.#deps.cors.preflight(corsRequest);
    if (preflight !== undefined) {
      this.#send(exchange, { status: 204, headers: preflight, body: undefined }, "preflight");
      return true;
    }
    for (const [name, value] of Object.entries(this.#deps.cors.headers(corsRequest) ?? {})) {
      exchange.response.setHeader(name, value);
    }
    return false;
  }

  async #callRpc(exchange: Exchange, path: string): Promise<void> {
    const { request, response, requestId, method, finish } = exchange;
    const { connect, limits } = this.#deps;
    const desc = connect.find(path);
    const route = desc === undefined ? undefined : path;
    if (method === "OPTIONS" && desc !== undefined) {
      return this.#send(exchange, { status: 204, headers: { allow: RPC_ALLOW }, body: undefined }, route);
    }
    const answer = await connect.handle({
      path,
      verb: method,
      header: (name) => headerOf(request.headers, name),
      metadata: metadataOf(request, requestId, this.#deps),
      signal: exchange.call.signal,
      readBody: (caller) => {
        return this.#readBody(exchange, caller, bodyBytesMaxOf(desc, limits) + ENVELOPE_BYTES, false);
      },
    });
    const { body } = answer;
    if (body instanceof Uint8Array) {
      const isRead = desc !== undefined && isReadMethod(desc);
      if (isRead && !this.#deps.writer.hasRoomFor(exchange.owner, body)) {
        const refusal = connect.refuse(headerOf(request.headers, "content-type"), overloaded(), requestId);
        return this.#send(exchange, refusal, route);
      }
      return this.#send(exchange, { ...answer, body }, route);
    }
    response.once("close", () => finish({ requestId, method, route, status: response.statusCode }));
    await this.#deps.writer.writeFrames(exchange, answer, body);
  }

  /** With `form`, the form of a page calls the route, and the response is a page. */
  async #callRest(
    exchange: Exchange,
    url: string,
    form?: PageCall & { readonly path: string },
  ): Promise<void> {
    const { request, requestId, method } = exchange;
    const { admission, clock, limits, transcoder, writer } = this.#deps;
    const metadata = metadataOf(request, requestId, this.#deps);
    const headers = form === undefined ? request.headers : FORM_HEADERS;
    let desc: DescMethod | undefined;
    let caller: Principal | undefined;
    let body: RequestBody | undefined;
    try {
      const rendered = await transcoder.handle(
        {
          method,
          url,
          headers: { get: (name) => (isIgnored(desc, name) ? undefined : headerOf(headers, name)) },
          body: async (bytesMax) => {
            const limit = Math.min(bytesMax ?? Infinity, bodyBytesMaxOf(desc, limits));
            body = await this.#readBody(exchange, caller, limit, true);
            return form === undefined ? body.bytes : form.convert(body.bytes);
          },
        },
        {
          requestId,
          signal: exchange.call.signal,
          deadlineOf: (methodMs) => clock.nowMs() + (methodMs ?? limits.deadlineMs),
          admit: async (found, userId) => {
            desc = found;
            caller = await admission.admit(found, withCredentials(metadata, found, headers), userId);
          },
          admitBody: (found, bytes) =>
            admission.admitBody(found, withCredentials(metadata, found, headers), bytes),
          metadata,
        },
      );
      const route = form?.path ?? rendered.route?.template;
      if (rendered.stream !== undefined) await this.#sendStream(exchange, rendered, rendered.stream, route);
      else if (rendered.error instanceof BodyTooSlow) this.#fail(exchange, rendered.error, route);
      else if (isRead(method) && !writer.hasRoomFor(exchange.owner, rendered.body)) {
        this.#fail(exchange, overloaded(), route);
      } else this.#send(exchange, form?.render(rendered) ?? rendered, route);
    } finally {
      body?.release();
    }
  }

  /** Called for an admitted caller, whose share of the budgets counts from here on. */
  #readBody(
    exchange: Exchange,
    caller: Principal | undefined,
    bytesMax: number,
    inflates: boolean,
  ): Promise<RequestBody> {
    const { limits, bodies: budget, writer } = this.#deps;
    exchange.owner = ownerOf(caller);
    writer.assertRoom(exchange.owner);
    return readBody(exchange.request, exchange.response, {
      limits,
      budget,
      owner: exchange.owner,
      bytesMax,
      inflates,
    });
  }

  #fail(exchange: Exchange, error: unknown, route?: string): void {
    const failure = error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
    const headers: Record<string, string> = {};
    if (error instanceof MethodNotAllowed) headers.allow = error.allow;
    const acceptLanguage = headerOf(exchange.request.headers, "accept-language");
    const rendered = renderError(failure, { requestId: exchange.requestId, acceptLanguage, headers });
    const status = error instanceof BodyTooSlow ? error.status : rendered.status;
    this.#send(exchange, { ...rendered, status, error: failure }, route);
  }

  async #sendStream(
    exchange: Exchange,
    rendered: RestResponse,
    pieces: AsyncIterableIterator<Uint8Array>,
    route: string | undefined,
  ): Promise<void> {
    const { requestId, method, finish, request, response, owner } = exchange;
    const { writer, limits } = this.#deps;
    if (!writer.hasRoomForStream(owner)) {
      await pieces.return?.();
      return this.#fail(exchange, overloaded(), route);
    }
    discardBody(request, limits);
    const closed = new Promise<void>((resolve) => response.once("close", resolve));
    const error = await writer.writeBody(exchange, rendered, pieces);
    await closed;
    finish({ requestId, method, route, status: rendered.status, error });
  }

  #send(exchange: Exchange, rendered: WholeResponse | RestResponse, route: string | undefined): void {
    const { requestId, method, finish, request, response } = exchange;
    // The rest of the body may still be on its way.
    if (rendered.error instanceof BodyTooSlow) response.setHeader("connection", "close");
    finish({ requestId, method, route, status: rendered.status, error: rendered.error });
    discardBody(request, this.#deps.limits);
    this.#deps.writer.write(exchange, rendered);
  }
}

/** A constant, because a DOMException is expensive. The dispatcher decides between canceled and too late. */
const CLIENT_GONE = "the client is gone";

/** Of the REST call for a form: no header of the form's request matters to the route. */
const FORM_HEADERS: IncomingHttpHeaders = { "content-type": "application/json", "accept-language": "en" };

/** Whether the method only reads: REST serves it by GET. */
function isReadMethod(method: DescMethod): boolean {
  return hasOption(method, http) && getOption(method, http).pattern.case === "get";
}
