// Declares an invitation that was not accepted yet. The invited member is a membership.
import type { Principal } from "@muster/authz";
import { AssertionError, isUuid, type OrganizationId, type UserId } from "@muster/core";
import { AppError } from "@muster/errors";

/** The user or the API key whose right an invitation rests on, or the partner that has provisioned the organization. */
export interface Inviter {
  readonly kind: "user" | "api_key" | "partner";
  readonly id: string;
}

export interface Invitation {
  readonly id: string;
  readonly organizationId: OrganizationId;
  /** The invited member. */
  readonly userId: UserId;
  /** As the inviter wrote it. */
  readonly email: string;
  /** The canonical form. */
  readonly emailKey: string;
  readonly inviter: Inviter;
  /** SHA-256 of the token of the latest mail. */
  readonly tokenHash: Buffer;
  readonly createTimeMs: number;
  /** Equal to the create time once the inviter has lost the right. */
  readonly expireTimeMs: number;
}

const DAY_MS = 86_400_000;
export const INVITATION_LIFETIME_MS = 7 * DAY_MS;
/** An expired invitation is listed, and can be sent again, for so long. */
export const EXPIRED_INVITATION_KEPT_MS = 30 * DAY_MS;

export function isPending({ expireTimeMs }: Pick<Invitation, "expireTimeMs">, nowMs: number): boolean {
  return nowMs < expireTimeMs;
}

export function inviterOf({ kind, id }: Principal): Inviter {
  if (kind !== "user" && kind !== "api_key") throw new AssertionError(`a caller of kind ${kind} invites`);
  return { kind, id };
}

/** A malformed id is reported as not found, so that it reveals no more than an unknown id. */
export function parseInvitationId(text: string): string {
  if (!isUuid(text)) throw new AppError("INVITATION_NOT_FOUND");
  return text;
}
