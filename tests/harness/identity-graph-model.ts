// Models the identity graph and the events of users in a test that sent every request, by the plain meaning
// of merging, undoing and erasing.

export interface SentEvent {
  readonly user_id: string;
  readonly name: string;
  readonly timestamp: string;
  readonly event_id: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export class IdentityGraphModel {
  /** By user; each event once, however often it was sent. */
  readonly #events = new Map<string, Map<string, SentEvent>>();
  /** The user into which each merged user was merged. */
  readonly #parents = new Map<string, string>();
  readonly #erased: SentEvent[] = [];

  record(event: SentEvent): void {
    const own = this.#events.get(event.user_id) ?? new Map<string, SentEvent>();
    this.#events.set(event.user_id, own.set(event.event_id, event));
  }

  get allEvents(): SentEvent[] {
    return [...this.#events.values()].flatMap((own) => [...own.values()]);
  }

  get erased(): readonly SentEvent[] {
    return this.#erased;
  }

  /** The user of the root profile. */
  rootOf(user: string): string {
    const parent = this.#parents.get(user);
    return parent === undefined ? user : this.rootOf(parent);
  }

  isMerged(user: string): boolean {
    return this.#parents.has(user);
  }

  /** Merges the group of the first user into the group of the second. */
  merge(user: string, into: string): void {
    this.#parents.set(this.rootOf(user), this.rootOf(into));
  }

  /** Takes the user out again, together with all users merged into it. */
  unmerge(user: string): void {
    this.#parents.delete(user);
  }

  /** Erases the group of the user; later events of these users create new profiles. */
  erase(user: string, users: Iterable<string>): string[] {
    const root = this.rootOf(user);
    const removed = [...users].filter((one) => this.rootOf(one) === root);
    for (const one of removed) {
      this.#erased.push(...(this.#events.get(one)?.values() ?? []));
      this.#events.delete(one);
    }
    for (const one of removed) this.#parents.delete(one);
    return removed;
  }

  /** Events of all users of the group. */
  eventsOf(root: string): SentEvent[] {
    return this.allEvents.filter((event) => this.rootOf(event.user_id) === root);
  }
}
