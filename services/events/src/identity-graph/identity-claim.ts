// Declares identity claims of calls. A claim is applied in the transaction that stores the event of the call.

/** The given ids belong to one person with these traits. */
export interface IdentifyClaim {
  readonly kind: "identify";
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object of trait changes; null removes a trait. */
  readonly traits: string;
}

/** The owner of the previous id, a user id or else an anonymous id, is this user. */
export interface AliasClaim {
  readonly kind: "alias";
  readonly userId: string;
  readonly previousId: string;
}

/** A claim of a tracking call about identities. */
export type IdentityClaim = IdentifyClaim | AliasClaim;
