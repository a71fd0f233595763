// Declares the error of a transaction that lost a race against a change of the identity graph.

/**
 * A concurrent transaction merged, separated or erased an affected profile. The caller rolls back and
 * retries.
 */
export class IdentityConflict extends Error {
  override name = "PeopleChanged";
}

/** Maximum number of consecutive conflicts before the call fails with UNAVAILABLE. */
export const IDENTITY_CONFLICTS_MAX = 20;
