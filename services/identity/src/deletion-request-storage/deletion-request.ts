// Declares a deletion request: the wish to erase what an organization stores about a person, and its receipt.
import { isUuid, type OrganizationId, type UserId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Requester } from "../operations/operation.ts";

export type DeletionState = "pending" | "approved" | "rejected";

/** Rows that were erased, by location. */
export type DeletionCounts = Readonly<Record<string, number>>;

export interface DeletionRequest {
  /** The id of the operation too. */
  readonly id: string;
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  readonly state: DeletionState;
  readonly requester: Requester;
  /** The requester, or the user who made the requesting key. Undefined for a key that no user made. */
  readonly requesterUserId: UserId | undefined;
  readonly deciderId: string | undefined;
  readonly createTimeMs: number;
  readonly decideTimeMs: number | undefined;
  /** Undefined until the last row is erased. */
  readonly completeTimeMs: number | undefined;
  readonly counts: DeletionCounts | undefined;
}

export const USER_ERASURE_KIND = "user_erasure";
export const ERASURE_PERMISSION = "users.delete";

/** DELETION_REQUEST_NOT_FOUND for text that is no id. */
export function requireDeletionRequestId(text: string): string {
  if (!isUuid(text)) throw new AppError("DELETION_REQUEST_NOT_FOUND");
  return text;
}
