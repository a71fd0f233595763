// Compares the version that a caller names with the version of the stored resource.
import { AppError, type ReasonName } from "@muster/errors";

export interface NamedVersion {
  /** The request's `if_match`: the If-Match header over REST. */
  readonly ifMatch: string | undefined;
  /** The version in the body of the request. */
  readonly version: number | bigint | undefined;
}

export interface RequireVersionOptions extends NamedVersion {
  /** The stored version, read in the transaction that changes the resource. */
  readonly current: number | bigint;
  /** Refuses a request that names no version. */
  readonly isRequired?: boolean;
  /** The reason for a stale version in the body. */
  readonly conflict?: ReasonName;
}

/** A strong entity tag: the version, then the digest that the gateway adds. */
const ENTITY_TAG = /(W\/)?"([^"]*)"/g;

/**
 * Throws ETAG_MISMATCH for a stale If-Match, VERSION_CONFLICT for a stale version in the body, and VERSION_REQUIRED
 * where one of them is required. Call after the check that the resource exists.
 */
export function requireVersion(options: RequireVersionOptions): void {
  const { ifMatch, version, current, isRequired = false, conflict = "VERSION_CONFLICT" } = options;
  if (ifMatch === undefined && version === undefined) {
    if (isRequired) throw new AppError("VERSION_REQUIRED");
    return;
  }
  const details = { version: String(current) };
  if (ifMatch !== undefined && !isMatch(ifMatch, String(current))) {
    throw new AppError("ETAG_MISMATCH", { details });
  }
  if (version !== undefined && BigInt(version) !== BigInt(current)) throw new AppError(conflict, { details });
}

/** If-Match compares strongly, so a weak entity tag matches nothing. */
function isMatch(ifMatch: string, current: string): boolean {
  if (ifMatch.trim() === "*") return true;
  return [...ifMatch.matchAll(ENTITY_TAG)].some(
    ([, weak, tag = ""]) => weak === undefined && tag.split("-", 1)[0] === current,
  );
}
