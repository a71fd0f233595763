// What identify and alias calls say: that ids are one person's. Decides who is meant, makes who is missing, and
// merges where nothing speaks against it. Both are to be used inside a transaction.
import type { IdSource, OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import { profileChanged } from "../domain-events.ts";
import { findOwner } from "../profiles/identity-store.ts";
import type { Identity, Profile } from "../profiles/profile.ts";
import { insertProfiles } from "../profiles/profile-store.ts";
import type { Asked } from "./asked.ts";
import { changePerson } from "./change-person.ts";
import { changesOfTraits } from "./identified-traits.ts";
import { LINKED_PROFILES_MAX } from "./links-store.ts";
import { canMerge, type MergeDeps, mergeLocked, type PeopleChange } from "./merge-people.ts";
import { lockPeople } from "./people.ts";
import { PeopleChanged } from "./people-changed.ts";
import { type Person, profileOf, profilesOf } from "./person.ts";

export interface IdentifyDeps extends MergeDeps {
  readonly profileIds: IdSource;
}

export interface Identification {
  /** At least one of both. */
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object; a null removes a trait. */
  readonly traits: string;
}

/**
 * The ids are one person's, who has these traits. An anonymous id that belongs to another user stays theirs: two
 * known users never become one by this.
 */
export async function identifyPerson(
  deps: IdentifyDeps,
  trx: Transaction,
  asked: Asked,
  { userId, anonymousId, traits }: Identification,
): Promise<PeopleChange> {
  const scribe = new Scribe(deps, trx, asked);
  const [user, visitor] = await lockOwners(trx, asked.organizationId, [
    userId === undefined ? [] : [{ kind: "user_id", value: userId }],
    anonymousId === undefined ? [] : [{ kind: "anonymous_id", value: anonymousId }],
  ]);
  const person = await link(scribe, { userId, anonymousId, user, visitor });
  return scribe.finish(await scribe.describe(person, traits));
}

/** Whoever has the previous id, as user id or else as anonymous id, is this user. */
export async function aliasPerson(
  deps: IdentifyDeps,
  trx: Transaction,
  asked: Asked,
  { userId, previousId }: { readonly userId: string; readonly previousId: string },
): Promise<PeopleChange> {
  const scribe = new Scribe(deps, trx, asked);
  const [user, previous] = await lockOwners(trx, asked.organizationId, [
    [{ kind: "user_id", value: userId }],
    [
      { kind: "user_id", value: previousId },
      { kind: "anonymous_id", value: previousId },
    ],
  ]);
  if (previous === undefined || (user === undefined && !hasUser(previous))) {
    return scribe.finish(await link(scribe, { userId, anonymousId: previousId, user, visitor: previous }));
  }
  const known = user ?? (await scribe.create({ userId }));
  if (previous.root.id === known.root.id) return scribe.finish(known);
  if (!canMerge(previous, known)) throw new AppError("MERGE_LIMIT_REACHED");
  return scribe.finish(await scribe.merge(previous, known));
}

interface Ids {
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  readonly user: Person | undefined;
  readonly visitor: Person | undefined;
}

async function link(scribe: Scribe, { userId, anonymousId, user, visitor }: Ids): Promise<Person> {
  if (user === undefined && visitor === undefined) return scribe.create({ userId, anonymousId });
  if (user === undefined) {
    if (visitor === undefined || (userId !== undefined && hasUser(visitor))) return scribe.create({ userId });
    return userId === undefined ? visitor : scribe.change(visitor, { userId });
  }
  if (anonymousId === undefined || visitor?.root.id === user.root.id) return user;
  if (visitor !== undefined) return hasUser(visitor) ? user : scribe.mergeIfMay(visitor, user);
  if (profileOf(user).anonymousId === undefined) return scribe.change(user, { anonymousId });
  return scribe.mergeNew({ anonymousId }, user);
}

function hasUser(person: Person): boolean {
  return profilesOf(person).some(({ userId }) => userId !== undefined);
}

/** Of each list of identities the person of the first that is anybody's, all of them locked. */
async function lockOwners(
  trx: Transaction,
  organizationId: OrganizationId,
  wanted: readonly (readonly Identity[])[],
): Promise<(Person | undefined)[]> {
  const find = async (): Promise<(ProfileId | undefined)[]> => {
    const found: (ProfileId | undefined)[] = [];
    for (const identities of wanted) found.push(await findFirst(trx, organizationId, identities));
    return found;
  };
  const owners = await find();
  const people = await lockPeople(
    trx,
    organizationId,
    owners.filter((owner) => owner !== undefined),
  );
  // An identity may have moved before its person was locked; from here on none can.
  const now = await find();
  if (now.some((owner, index) => owner !== owners[index])) throw new PeopleChanged();
  return owners.map((owner) => owner && people.get(owner));
}

async function findFirst(
  trx: Transaction,
  organizationId: OrganizationId,
  identities: readonly Identity[],
): Promise<ProfileId | undefined> {
  for (const identity of identities) {
    const owner = await findOwner(trx, organizationId, identity);
    if (owner !== undefined) return owner.profileId;
  }
  return undefined;
}

/** Writes what was decided, and remembers what is to be announced of it. */
class Scribe {
  readonly #deps: IdentifyDeps;
  readonly #trx: Transaction;
  readonly #asked: Asked;
  readonly #drafts: OutboxDraft[] = [];
  readonly #nowMs: number;
  #isChanged = false;

  constructor(deps: IdentifyDeps, trx: Transaction, asked: Asked) {
    this.#deps = deps;
    this.#trx = trx;
    this.#asked = asked;
    this.#nowMs = deps.clock.nowMs();
  }

  async create(ids: { userId?: string | undefined; anonymousId?: string | undefined }): Promise<Person> {
    const profile: Profile = {
      organizationId: this.#asked.organizationId,
      id: this.#deps.profileIds.next<ProfileId>(this.#nowMs),
      userId: ids.userId,
      anonymousId: ids.anonymousId,
      email: undefined,
      name: undefined,
      traits: "{}",
      createMs: this.#nowMs,
      updateMs: this.#nowMs,
    };
    await insertProfiles(this.#trx, [profile]);
    this.#isChanged = true;
    return { root: { ...profile, mergedInto: undefined, settled: {} }, merged: [] };
  }

  async change(person: Person, changes: Parameters<typeof changePerson>[2]): Promise<Person> {
    this.#isChanged = true;
    try {
      return await changePerson(this.#trx, person, changes, { nowMs: this.#nowMs, fieldPrefix: "" });
    } catch (error) {
      // Free a moment ago: whoever looks again finds it taken, and decides by that.
      const isTaken = error instanceof AppError && error.reason === "PROFILE_IDENTITY_TAKEN";
      throw isTaken ? new PeopleChanged() : error;
    }
  }

  async describe(person: Person, traits: string): Promise<Person> {
    const changes = await changesOfTraits(this.#trx, person, traits);
    return Object.keys(changes).length === 0 ? person : this.change(person, changes);
  }

  /** A new profile as one of a person; none where they may have no more. */
  async mergeNew(ids: { anonymousId: string }, staying: Person): Promise<Person> {
    if (profilesOf(staying).length >= LINKED_PROFILES_MAX) return staying;
    return this.merge(await this.create(ids), staying);
  }

  async merge(ending: Person, staying: Person): Promise<Person> {
    const { person, drafts } = await mergeLocked(this.#deps, this.#trx, this.#asked, { ending, staying });
    this.#drafts.push(...drafts);
    return person;
  }

  /** Where one person may not stand for so many, the two stay apart. */
  async mergeIfMay(ending: Person, staying: Person): Promise<Person> {
    return canMerge(ending, staying) ? this.merge(ending, staying) : staying;
  }

  finish(person: Person): PeopleChange {
    const drafts = [...this.#drafts];
    if (this.#isChanged) drafts.push(profileChanged(profileOf(person), this.#asked.traceParent));
    return { person, drafts };
  }
}
