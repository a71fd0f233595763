// Contains every statement against `operations`. Inputs and results are sealed.
import { bytesToUuid, openSealed, rowKey, sealBytes, uuidToBytes } from "@muster/core";
import { forUpdate, type Queryable, type Transaction } from "@muster/db";
import type { ReasonName } from "@muster/errors";
import {
  type LeasedOperation,
  LeaseLost,
  type NewOperation,
  type Operation,
  type OperationData,
  type OperationState,
  type Requester,
} from "./operation.ts";

const TABLE = "operations";
const COLUMNS = [
  "id",
  "organization_id",
  "kind",
  "requester_kind",
  "requester_id",
  "permission",
  "state",
  "progress",
  "input",
  "result",
  "failure",
  "fencing_token",
  "failures",
  "create_time_ms",
] as const;
/** In the order of their numbers in the table. */
const STATES: readonly OperationState[] = ["pending", "running", "succeeded", "failed"];
/** Candidates of a claim. Other replicas rarely claim all candidates meanwhile. */
const CANDIDATES = 10;
const LIFETIME_MS = 30 * 86_400_000;
const NOTHING = Buffer.alloc(0);

interface Row {
  readonly id: Buffer;
  readonly organization_id: Buffer | null;
  readonly kind: Buffer;
  readonly requester_kind: Buffer;
  readonly requester_id: Buffer;
  readonly permission: Buffer | null;
  readonly state: number;
  readonly progress: number;
  readonly input: Buffer;
  readonly result: Buffer | null;
  readonly failure: Buffer | null;
  readonly fencing_token: number;
  readonly failures: number;
  readonly create_time_ms: number;
}

/** The times of a lease. */
export interface LeaseTimes {
  readonly nowMs: number;
  readonly untilMs: number;
}

export class OperationStore {
  readonly #key: Uint8Array;

  /** `key` is the key of the service for operations. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  async insert(trx: Transaction, operation: NewOperation): Promise<void> {
    const { id, organizationId, permission, requester } = operation;
    await trx(TABLE).insert({
      id: uuidToBytes(id),
      organization_id: organizationId === undefined ? null : uuidToBytes(organizationId),
      kind: Buffer.from(operation.kind),
      requester_kind: Buffer.from(requester.kind),
      requester_id: Buffer.from(requester.id),
      permission: permission === undefined ? null : Buffer.from(permission),
      state: STATES.indexOf("pending"),
      progress: 0,
      input: this.#seal(id, operation.input),
      result: null,
      failure: null,
      fencing_token: 0,
      failures: 0,
      create_time_ms: operation.createTimeMs,
      due_time_ms: operation.dueTimeMs ?? 0,
      expire_time_ms: null,
    });
  }

  /** Begins a failed or deleted operation again. A lease from before the failure stays invalid. */
  async restart(trx: Transaction, operation: NewOperation): Promise<void> {
    const restarted = await trx(TABLE)
      .where({ id: uuidToBytes(operation.id), state: STATES.indexOf("failed") })
      .update({
        state: STATES.indexOf("pending"),
        progress: 0,
        input: this.#seal(operation.id, operation.input),
        failure: null,
        failures: 0,
        due_time_ms: operation.dueTimeMs ?? 0,
        expire_time_ms: null,
      });
    if (restarted === 0) await this.insert(trx, operation);
  }

  async find(queryable: Queryable, id: string): Promise<Operation | undefined> {
    const [row] = await queryable(TABLE).select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
    if (row === undefined) return undefined;
    return {
      ...identityOf(row),
      state: STATES[row.state] ?? "failed",
      progress: row.progress,
      result: row.result === null ? undefined : this.#open(id, row.result),
      failure: row.failure === null ? undefined : (row.failure.toString("utf8") as ReasonName),
    };
  }

  /** The input as the last step has saved it; empty once the operation has ended. */
  async readInput(queryable: Queryable, id: string): Promise<OperationData> {
    const [input] = await queryable(TABLE).where("id", uuidToBytes(id)).pluck<Buffer[]>("input");
    return input === undefined || input.length === 0 ? {} : this.#open(id, input);
  }

  /** Takes the lease of an operation of these kinds that is due. */
  async claim(
    trx: Transaction,
    kinds: readonly string[],
    { nowMs, untilMs }: LeaseTimes,
  ): Promise<LeasedOperation | undefined> {
    const rows = await trx(TABLE)
      .select<Row[]>(COLUMNS)
      .where("due_time_ms", "<=", nowMs)
      .whereIn(
        "kind",
        kinds.map((kind) => Buffer.from(kind)),
      )
      .orderBy(["due_time_ms", "id"])
      .limit(CANDIDATES);
    for (const row of rows) {
      const claimed = await trx(TABLE)
        .where({ id: row.id, fencing_token: row.fencing_token })
        .andWhere("due_time_ms", "<=", nowMs)
        .update({
          state: STATES.indexOf("running"),
          fencing_token: row.fencing_token + 1,
          due_time_ms: untilMs,
        });
      if (claimed === 1) return this.#leased(row);
    }
    return undefined;
  }

  /** Locks the operation until the transaction ends. Throws LeaseLost unless the lease is still this one. */
  async requireLease(trx: Transaction, operation: LeasedOperation): Promise<void> {
    const query = trx(TABLE).select("id").where(leaseOf(operation)).whereNotNull("due_time_ms");
    if ((await forUpdate(trx, query)).length === 0) throw new LeaseLost(operation.id);
  }

  /** Extends the lease, and saves how far the work is. Throws LeaseLost like {@link requireLease}. */
  async renew(
    trx: Transaction,
    operation: LeasedOperation,
    change: { readonly untilMs: number; readonly progress?: number; readonly input?: OperationData },
  ): Promise<void> {
    const { progress, input } = change;
    await this.#change(trx, operation, {
      due_time_ms: change.untilMs,
      ...(progress === undefined ? {} : { progress: Math.min(99, Math.floor(progress)) }),
      ...(input === undefined ? {} : { input: this.#seal(operation.id, input) }),
    });
  }

  /** Saves what the runner needs to continue after a crash. Throws LeaseLost like {@link requireLease}. */
  async saveInput(trx: Transaction, operation: LeasedOperation, input: OperationData): Promise<void> {
    await this.#change(trx, operation, { input: this.#seal(operation.id, input) });
  }

  /** Ends the lease; the next one begins at `dueMs`. A failed attempt counts. */
  async release(
    trx: Transaction,
    operation: LeasedOperation,
    { dueMs, failures = operation.failures }: { readonly dueMs: number; readonly failures?: number },
  ): Promise<void> {
    await this.#change(trx, operation, { due_time_ms: dueMs, failures });
  }

  /** The work is done. Throws LeaseLost unless the lease is still this one. */
  async finish(
    trx: Transaction,
    operation: LeasedOperation,
    { nowMs, result }: { readonly nowMs: number; readonly result?: OperationData },
  ): Promise<void> {
    const sealed = result === undefined ? null : this.#seal(operation.id, result);
    await this.#end(trx, operation, nowMs, {
      state: STATES.indexOf("succeeded"),
      progress: 100,
      result: sealed,
    });
  }

  /** The work is given up. Throws LeaseLost unless the lease is still this one. */
  async fail(
    trx: Transaction,
    operation: LeasedOperation,
    { nowMs, reason }: { readonly nowMs: number; readonly reason: ReasonName },
  ): Promise<void> {
    await this.#end(trx, operation, nowMs, { state: STATES.indexOf("failed"), failure: Buffer.from(reason) });
  }

  /** Ends all leases, because the processes that had them have ended. */
  async releaseAll(trx: Transaction, nowMs: number): Promise<void> {
    await trx(TABLE)
      .where("due_time_ms", ">", nowMs)
      .andWhere("state", STATES.indexOf("running"))
      .update({ due_time_ms: 0 });
  }

  /** Deletes at most `limit` operations that ended long ago; returns how many. */
  async deleteExpired(trx: Transaction, nowMs: number, limit: number): Promise<number> {
    const ids = await trx(TABLE)
      .where("expire_time_ms", "<=", nowMs)
      .orderBy("expire_time_ms")
      .limit(limit)
      .pluck<Buffer[]>("id");
    if (ids.length > 0) await trx(TABLE).whereIn("id", ids.sort(Buffer.compare)).delete();
    return ids.length;
  }

  async #end(
    trx: Transaction,
    operation: LeasedOperation,
    nowMs: number,
    columns: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const ended = { input: NOTHING, due_time_ms: null, expire_time_ms: nowMs + LIFETIME_MS };
    await this.#change(trx, operation, { ...columns, ...ended });
  }

  async #change(
    trx: Transaction,
    operation: LeasedOperation,
    columns: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.requireLease(trx, operation);
    await trx(TABLE).where(leaseOf(operation)).update(columns);
  }

  #leased(row: Row): LeasedOperation {
    return {
      ...identityOf(row),
      input: this.#open(bytesToUuid(row.id), row.input),
      fencingToken: row.fencing_token + 1,
      failures: row.failures,
      progress: row.progress,
    };
  }

  #seal(id: string, data: OperationData): Buffer {
    return sealBytes(rowKey(this.#key, id), [Buffer.from(JSON.stringify(data), "utf8")], id);
  }

  #open(id: string, sealed: Uint8Array): OperationData {
    return JSON.parse(openSealed(rowKey(this.#key, id), sealed, id).toString("utf8")) as OperationData;
  }
}

function leaseOf({ id, fencingToken }: LeasedOperation) {
  return { id: uuidToBytes(id), fencing_token: fencingToken };
}

function identityOf(row: Row) {
  return {
    id: bytesToUuid(row.id),
    kind: row.kind.toString("utf8"),
    organizationId: row.organization_id === null ? undefined : bytesToUuid(row.organization_id),
    requester: {
      kind: row.requester_kind.toString("utf8") as Requester["kind"],
      id: row.requester_id.toString("utf8"),
    },
    permission: row.permission?.toString("utf8"),
    createTimeMs: row.create_time_ms,
  } as Pick<Operation, "id" | "kind" | "organizationId" | "requester" | "permission" | "createTimeMs">;
}
