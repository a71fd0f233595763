// Declares an export: what an organization holds about a person, as a ZIP that the requester downloads once.
import type { OrganizationId, UserId } from "@muster/core";
import type { Requester } from "../operations/operation.ts";

export interface NewExport {
  /** The id of the operation. */
  readonly id: string;
  readonly organizationId: OrganizationId;
  /** The person of the export. */
  readonly userId: UserId;
  readonly requester: Requester;
  readonly createTimeMs: number;
}

/** An export that can be downloaded, or was. */
export interface ReadyExport extends NewExport {
  readonly size: number;
  /** SHA-256 of the ZIP. */
  readonly digest: Buffer;
  readonly claimTimeMs: number | undefined;
  /** Undefined once the chunks were deleted. */
  readonly dataEndTimeMs: number | undefined;
}

export const EXPORT_KIND = "user_export";
export const EXPORT_PERMISSION = "users.update";
/** Longest ZIP. */
export const EXPORT_BYTES_MAX = 1024 * 1024 * 1024;
/** Bytes of the ZIP in a chunk; sealed, a chunk has at most 256 KiB. */
export const CHUNK_BYTES = 255 * 1024;
/** For so long an export waits for its download. */
export const EXPORT_LIFETIME_MS = 7 * 86_400_000;
/** For so long after the claim a broken transfer continues. */
export const RESUME_MS = 15 * 60_000;
/** Exports of a person that an organization has at a time. */
export const EXPORTS_MAX = 10;
