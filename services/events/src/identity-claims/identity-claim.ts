// Declares identity claims of calls. A claim is applied in the transaction that stores the event of the call.

/** The given ids belong to one person with these traits. */
export interface IdentifyClaim {
  readonly kind: "identify";
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object of trait changes; null removes a trait. */
  readonly traits: string;
  /** Whether the trait email may become the email of the profile. False if the id stands for nobody. */
  readonly takesEmail: boolean;
}

/** The owner of the previous id is this user, unless the owner is a known user already. */
export interface AliasClaim {
  readonly kind: "alias";
  readonly userId: string;
  readonly previousId: string;
}

/** A claim of a tracking call about identities. */
export type IdentityClaim = IdentifyClaim | AliasClaim;

/**
 * Why a claim links nothing: both ids belong to known users, the anonymous id was merged with too many known
 * users, or the merged group would exceed a limit.
 */
export type SkippedLink = "known_users" | "users_per_anonymous_id" | "merge_limit";
