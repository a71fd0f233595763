// Declares operations: work that continues after the response of a call.
import type { Principal } from "@muster/authz";
import { isUuid, type OrganizationId, PlainError } from "@muster/core";
import { AppError, type ReasonName } from "@muster/errors";

export type OperationState = "pending" | "running" | "succeeded" | "failed";

/** A JSON object of ids and settings. */
export type OperationData = Readonly<Record<string, unknown>>;

/** The caller who began an operation. */
export interface Requester {
  readonly kind: Principal["kind"];
  readonly id: string;
}

export interface NewOperation {
  readonly id: string;
  readonly kind: string;
  /** Undefined for operations about an account. */
  readonly organizationId: OrganizationId | undefined;
  readonly requester: Requester;
  /** Callers of the organization who hold the permission may read the operation; undefined: the requester alone. */
  readonly permission: string | undefined;
  /** What the runner of the kind needs. */
  readonly input: OperationData;
  readonly createTimeMs: number;
  /** No worker begins before (default: at once). */
  readonly dueTimeMs?: number;
}

export interface Operation extends Omit<NewOperation, "input" | "dueTimeMs"> {
  readonly state: OperationState;
  /** 0 to 100. */
  readonly progress: number;
  readonly result: OperationData | undefined;
  readonly failure: ReasonName | undefined;
}

/** An operation that a worker has taken. A later lease has a greater token and ends this one. */
export interface LeasedOperation extends Omit<NewOperation, "dueTimeMs"> {
  readonly fencingToken: number;
  /** Attempts that have failed. */
  readonly failures: number;
  readonly progress: number;
}

/** Another worker has taken the operation, or the operation has ended. */
export class LeaseLost extends PlainError {
  override name = "LeaseLost";

  constructor(id: string) {
    super(`the operation ${id} is no longer this worker's`);
  }
}

/** Thrown by a runner that gives an operation up. */
export class OperationFailed extends PlainError {
  override name = "OperationFailed";
  readonly reason: ReasonName;

  constructor(reason: ReasonName) {
    super(`the operation fails with ${reason}`);
    this.reason = reason;
  }
}

export function requireOperationId(text: string): string {
  if (!isUuid(text)) throw new AppError("OPERATION_NOT_FOUND");
  return text;
}
