// What a call says about who somebody is, to come true in the transaction that stores its event.

/** These are one person's ids, as far as given, and so are these traits. */
export interface Identification {
  readonly kind: "identify";
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object: changes, a null being what to forget. */
  readonly traits: string;
}

/** Whoever has the previous id, as user id or else as anonymous id, is this user. */
export interface Renaming {
  readonly kind: "alias";
  readonly userId: string;
  readonly previousId: string;
}

export type Statement = Identification | Renaming;
