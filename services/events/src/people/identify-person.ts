// Applies identity claims of identify and alias calls inside a transaction: finds the profiles of the ids,
// creates missing profiles and merges profiles where allowed.
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
  /** At least one of the two ids is set. */
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object; null removes a trait. */
  readonly traits: string;
}

/**
 * Links the ids to one profile group and sets the traits. An anonymous id of another user stays with that
 * user: an identify call never merges two profiles with user ids.
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

/** Merges the owner of the previous id, a user id or else an anonymous id, into the user's profile group. */
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

/** Finds and locks, for each list of identities, the profile group of the first identity with an owner. */
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
  // An identity may have moved before its profile group was locked. The lock prevents later moves.
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

/** Writes identity changes and collects the messages to publish. */
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
      // A concurrent transaction took the identity after it was found free. The retry will find the owner.
      const isTaken = error instanceof AppError && error.reason === "PROFILE_IDENTITY_TAKEN";
      throw isTaken ? new PeopleChanged() : error;
    }
  }

  async describe(person: Person, traits: string): Promise<Person> {
    const changes = await changesOfTraits(this.#trx, person, traits);
    return Object.keys(changes).length === 0 ? person : this.change(person, changes);
  }

  /** Creates a profile and merges it into the group; does nothing if the group has the maximum size. */
  async mergeNew(ids: { anonymousId: string }, staying: Person): Promise<Person> {
    if (profilesOf(staying).length >= LINKED_PROFILES_MAX) return staying;
    return this.merge(await this.create(ids), staying);
  }

  async merge(ending: Person, staying: Person): Promise<Person> {
    const { person, drafts } = await mergeLocked(this.#deps, this.#trx, this.#asked, { ending, staying });
    this.#drafts.push(...drafts);
    return person;
  }

  /** Merges the groups unless the result would exceed a limit. */
  async mergeIfMay(ending: Person, staying: Person): Promise<Person> {
    return canMerge(ending, staying) ? this.merge(ending, staying) : staying;
  }

  finish(person: Person): PeopleChange {
    const drafts = [...this.#drafts];
    if (this.#isChanged) drafts.push(profileChanged(profileOf(person), this.#asked.traceParent));
    return { person, drafts };
  }
}
