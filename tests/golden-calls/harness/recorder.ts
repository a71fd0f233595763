// Recorder makes calls one at a time, and records requests, responses, outbox rows and changed rows.
import type { DescMethod, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  ApiKeyService,
  type CreateApiKeyResponse,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { bytesToUuid, type OrganizationId, type SessionId, type UserId } from "@muster/core";
import type { CallOptions, UnaryResponse } from "@muster/rpc";
import type { ServiceName } from "@muster/runtime";
import { waitFor } from "@muster/testkit";
import { type CallingUser, type ModuleUnderTest, userText } from "@muster/testkit/module";
import { Normalizer } from "./normalizer.ts";
import { renderChanges, renderError, renderMessage } from "./render.ts";
import { type RowChange, TableSnapshot } from "./table-snapshot.ts";
import type { World } from "./world.ts";

export interface CallAs {
  /**
   * The name of the API key that the call brings; the default is "owner", with every permission. "ada" is the user who
   * owns the organization.
   */
  readonly key?: string | undefined;
  /** The service of the installation that calls. */
  readonly service?: string;
  /** Without any credentials. */
  readonly anonymous?: boolean;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StreamAs extends CallAs {
  /** After so many messages the caller goes away. */
  readonly take: number;
  /** Steps to take after so many messages. */
  readonly after?: ReadonlyMap<number, () => Promise<unknown>>;
}

/** A script makes fewer calls. */
export const SCRIPT_CALLS = 1000;
/** Goes by after each call, for work that waits for the clock. */
const AFTER_CALL_MS = 2000;

/** The session of the user, which the database does not contain. */
const SESSION_ID = "01900000-0000-7000-8000-00000000ada0" as SessionId;
/** Permissions of the second key of every script. */
const READER_SCOPES = ["profiles.read", "segments.read"];

export class Recorder {
  /** The organization of the script; the owner's key is its first. */
  organizationId = "";
  /** The address of the user "ada". */
  ownerEmail = "";
  readonly recorded = new Set<DescMethod>();
  readonly #world: World;
  readonly #normalizer: Normalizer;
  readonly #keys = new Map<string, string>();
  readonly #snapshots = new Map<ServiceName, TableSnapshot>();
  readonly #blocks: string[] = [];
  readonly #firstCall: number;
  readonly #startMs: number;

  private constructor(world: World, firstCall: number) {
    this.#world = world;
    this.#firstCall = firstCall;
    this.#startMs = world.clock.nowMs();
    const last = firstCall + SCRIPT_CALLS - 1;
    this.#normalizer = new Normalizer({
      startMs: this.#startMs,
      nameOfId: (hex) => world.nameOfId(hex, { first: firstCall, last }),
    });
  }

  static async open(world: World, firstCall: number): Promise<Recorder> {
    const recorder = new Recorder(world, firstCall);
    world.beginCall(firstCall);
    // Each script has an address of its own, and so a user.
    recorder.ownerEmail = `ada-${firstCall}@example.com`;
    const created = await world.createOrganization("Acme", recorder.ownerEmail);
    const { organizationId, secret, ownerId } = created;
    recorder.organizationId = organizationId;
    recorder.addKey("owner", secret);
    if (ownerId !== undefined)
      recorder.addKey("ada", userText(userOf(ownerId, created, world.clock.nowMs())));
    const { createApiKey } = ApiKeyService.method;
    const { message } = await recorder.#unary(createApiKey, { name: "reader", scopes: READER_SCOPES }, {});
    recorder.addKey("reader", (message as CreateApiKeyResponse).secret);
    await world.rest();
    for (const [service, database] of world.databases) {
      recorder.#snapshots.set(service, await TableSnapshot.open(database));
    }
    return recorder;
  }

  get text(): string {
    return `${this.#blocks.join("\n\n")}\n`;
  }

  get nowMs(): number {
    return this.#world.clock.nowMs();
  }

  /** A partner; the rows of the partner are no part of the record. */
  async createPartner(name: string) {
    const partner = await this.#world.createPartner(name);
    await this.#snapshots.get("identity")?.changes();
    return partner;
  }

  addKey(name: string, secret: string): void {
    this.#keys.set(name, secret);
  }

  /** The token of the newest mail to the address. */
  async mailToken(to: string): Promise<string> {
    const { mails } = this.#world.moduleOf("identity");
    const newest = await waitFor(() =>
      mails.all.findLast((mail) => mail.to === to && /#token=/.test(mail.text)),
    );
    return /#token=(\S+)/.exec(newest.text)?.[1] ?? "";
  }

  /** Rejects if the call fails. */
  async ok<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs = {},
  ): Promise<MessageShape<M["output"]>> {
    this.#begin();
    const { message, headers } = await this.#unary(method, request, as);
    const sent = [...headers].sort().map(([name, value]) => `header ${name}: ${value}\n`);
    await this.#end(
      method,
      as,
      [request],
      `${sent.join("")}response: ${renderMessage(method.output, message)}`,
    );
    return message as MessageShape<M["output"]>;
  }

  /** Rejects if the call succeeds. */
  async refused<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    as: CallAs = {},
  ): Promise<void> {
    this.#begin();
    const error = await this.#unary(method, request, as).then(
      () => new Error(`${method.name} was to be refused`),
      (reason: unknown) => reason,
    );
    await this.#end(method, as, [request], `error: ${renderError(error)}`);
  }

  /** Records the messages of a stream, and the error at the end. */
  async stream<M extends DescMethod>(
    method: M,
    requests: readonly MessageInitShape<M["input"]>[],
    as: StreamAs,
  ): Promise<MessageShape<M["output"]>[]> {
    this.#begin();
    const messages: MessageShape<M["output"]>[] = [];
    const lines: string[] = [];
    const leaving = new AbortController();
    const inputs = requests.map((request) => create(method.input, request));
    const { messages: stream } = this.#moduleOf(method).dispatcher.stream(method, each(inputs), {
      headers: this.#headersOf(method, as),
      signal: leaving.signal,
    });
    try {
      for await (const message of stream) {
        messages.push(message as MessageShape<M["output"]>);
        lines.push(`message: ${renderMessage(method.output, message)}`);
        if (messages.length >= as.take) break;
        await as.after?.get(messages.length)?.();
      }
      lines.push(messages.length >= as.take ? "the caller goes away" : "end");
    } catch (error) {
      lines.push(`error: ${renderError(error)}`);
    }
    leaving.abort();
    await this.#end(method, as, requests, lines.join("\n"));
    return messages;
  }

  /** Moves the clock on, and records the rows that workers write meanwhile. */
  async pass(what: string, ms: number): Promise<void> {
    const { clock } = this.#world;
    if (ms > 5000) clock.setNowMs(clock.nowMs() + ms - 5000);
    await this.#world.pass(Math.min(ms, 5000));
    await this.#add([`## The clock moves on: ${what}`]);
  }

  /** A heading for the following calls. */
  note(text: string): void {
    this.#blocks.push(`# ${text}`);
  }

  #begin(): void {
    this.#world.beginCall(this.#firstCall + this.#blocks.length + 1);
  }

  async #end(
    method: DescMethod,
    as: CallAs,
    requests: readonly MessageInitShape<DescMethod["input"]>[],
    outcome: string,
  ): Promise<void> {
    this.recorded.add(method);
    const shown = requests.map(
      (request) => `request: ${renderMessage(method.input, create(method.input, request))}`,
    );
    await this.#world.pass(AFTER_CALL_MS);
    await this.#add([`## ${method.name} ${callerText(as)}`, ...shown, outcome]);
  }

  async #add(lines: readonly string[]): Promise<void> {
    const all = [...lines];
    for (const [service, snapshot] of this.#snapshots) {
      const changes = (await snapshot.changes()).filter((change) => !this.#isOfAnother(service, change));
      all.push(
        ...renderChanges(
          service,
          changes.map((change) => this.#withoutExpired(change)),
        ),
      );
    }
    this.#blocks.push(this.#normalizer.normalize(all.join("\n")));
  }

  /** A worker removes the counters of earlier scripts at some time, or a call uses them again. */
  #withoutExpired(change: RowChange): RowChange {
    const isExpired =
      change.table === "login_counters" && Number(change.before?.expire_time_ms) < this.#startMs;
    return isExpired ? { ...change, before: undefined } : change;
  }

  /** Work that earlier scripts left to the workers: saved responses that expire, passes over organizations. */
  #isOfAnother(service: ServiceName, { table, before, after }: RowChange): boolean {
    if (table.startsWith("idempotency_") && after === undefined) {
      return Number(before?.expire_time_ms) <= this.#world.clock.nowMs();
    }
    if (service === "identity" && after === undefined && before?.expire_time_ms !== undefined) {
      const { create_time_ms: createMs, expire_time_ms: expireMs } = before;
      return createMs === undefined
        ? Number(expireMs) <= this.#world.clock.nowMs()
        : Number(createMs) < this.#startMs;
    }
    // Every event moves a cursor of identity, every date its windows; its trimmed events are those of earlier scripts.
    if (service === "identity" && (table === "shard_cursors" || table === "login_windows")) return true;
    if (service === "identity" && table === "outbox_messages" && after === undefined) return true;
    // Used tokens of earlier scripts go a week later.
    if (service === "identity" && table === "refresh_tokens" && after === undefined)
      return Number(before?.used_time_ms) < this.#startMs;
    // SessionWorker removes the seals of used tokens while a later call moves the clock.
    const isUsed =
      after !== undefined && after.used_time_ms !== null && before?.used_time_ms === after.used_time_ms;
    if (service === "identity" && table === "refresh_tokens" && isUsed && after.successor_seal === null)
      return true;
    const organization = (after ?? before)?.organization_id;
    if (service === "identity" || !(organization instanceof Uint8Array)) return false;
    return bytesToUuid(organization) !== this.organizationId;
  }

  async #unary(
    method: DescMethodUnary,
    request: MessageInitShape<DescMethodUnary["input"]>,
    as: CallAs,
  ): Promise<UnaryResponse> {
    const options: CallOptions = {
      headers: this.#headersOf(method, as),
      signal: new AbortController().signal,
    };
    return this.#moduleOf(method).dispatcher.unary(method, create(method.input, request), options);
  }

  #moduleOf(method: DescMethod): ModuleUnderTest {
    return this.#world.moduleOf(method.parent.file.proto.package.split(".")[1] as ServiceName);
  }

  #headersOf(method: DescMethod, as: CallAs): Map<string, string> {
    const { key = "owner", service, anonymous = false, idempotencyKey, headers } = as;
    const credentials =
      service === undefined && !anonymous ? { key: this.#keys.get(key) ?? key } : { service };
    return this.#moduleOf(method).headersOf({ ...credentials, idempotencyKey, headers });
  }
}

function userOf(
  id: UserId,
  { organizationId }: { readonly organizationId: OrganizationId },
  authenticatedMs: number,
): CallingUser {
  return { id, sessionId: SESSION_ID, organizationId, role: "owner", authenticatedMs };
}

function callerText({ key = "owner", service, anonymous, idempotencyKey, headers = {} }: CallAs): string {
  const caller = service === undefined ? `with the key ${key}` : `by the service ${service}`;
  const sent = Object.entries({ ...headers, ...(idempotencyKey && { "idempotency-key": idempotencyKey }) });
  // Keys and signatures are random.
  const shown = sent.map(([name, value]) => `, ${name}: ${name.startsWith("x-") ? "…" : value}`).join("");
  return `${anonymous === true ? "without credentials" : caller}${shown}`;
}

async function* each<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}
