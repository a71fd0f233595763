// Evaluates the predicates on messages before the transaction that applies them, in slices: other work of the
// process continues meanwhile, and no transaction stays open during the evaluation.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { type Clock, type OrganizationId, WorkBudget } from "@muster/core";
import type { Database } from "@muster/db";
import { PoisonMessage } from "@muster/outbox";
import type { Definitions } from "../engine/state/definitions.ts";
import {
  type EventMatch,
  type MatchSteps,
  matchEventInSteps,
  matchTraitsInSteps,
  type PredicateMatch,
  type TraitMatch,
} from "../engine/state/match-predicates.ts";
import {
  type DecodedMessage,
  decodeMessage,
  type ProfileEvent,
  type UpdatedProfile,
} from "../events/decode-message.ts";
import { UNITS_PER_MICROSECOND } from "../predicates/parse/limits.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";

export interface MatchDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
}

/** Work of one call, in units of WorkBudget: 0.2 s. Further messages wait for the next transaction. */
const PREPARED_UNITS_MAX = 200_000;
const DECODING_UNITS_PER_BYTE = 0.01;

/** Keeps the results until their messages are applied, however often that is tried. */
export class MessageMatcher {
  readonly #deps: MatchDeps;
  readonly #decoded = new WeakMap<Envelope, DecodedMessage>();
  readonly #events = new WeakMap<ProfileEvent, EventMatch>();
  readonly #profiles = new WeakMap<UpdatedProfile, TraitMatch>();

  constructor(deps: MatchDeps) {
    this.#deps = deps;
  }

  /** Throws PoisonMessage for a message that cannot be decoded. */
  decode(envelope: Envelope): DecodedMessage {
    let decoded = this.#decoded.get(envelope);
    if (decoded === undefined) {
      decoded = decodeMessage(envelope);
      this.#decoded.set(envelope, decoded);
    }
    return decoded;
  }

  /** Undefined if the predicates were not evaluated before. */
  eventMatch(event: ProfileEvent): EventMatch | undefined {
    return this.#events.get(event);
  }

  traitMatch(profile: UpdatedProfile): TraitMatch | undefined {
    return this.#profiles.get(profile);
  }

  /** Evaluates the predicates on the first messages. Returns their number, at least 1. */
  async prepare(envelopes: readonly Envelope[], signal: AbortSignal): Promise<number> {
    const { clock } = this.#deps;
    const onSpent = () => new Error("the work of a batch has no limit of its own");
    const budget = new WorkBudget({ clock, signal, maxUnits: Number.POSITIVE_INFINITY, onSpent });
    const messages: (DecodedMessage | undefined)[] = [];
    for (const envelope of envelopes) {
      messages.push(this.#tryDecode(envelope));
      budget.spend(1 + envelope.data.length * DECODING_UNITS_PER_BYTE);
      if (budget.isSliceOver) await budget.turn();
    }
    const definitions = await this.#loadDefinitions(messages);
    const startUnits = budget.spentUnits;
    for (const [index, message] of messages.entries()) {
      if (index > 0 && budget.spentUnits - startUnits > PREPARED_UNITS_MAX) return index;
      if (message !== undefined) await this.#match(message, definitions, budget);
    }
    return envelopes.length;
  }

  /** Undefined for a message that cannot be decoded, which fails when it is applied. */
  #tryDecode(envelope: Envelope): DecodedMessage | undefined {
    try {
      return this.decode(envelope);
    } catch (error) {
      if (error instanceof PoisonMessage) return undefined;
      throw error;
    }
  }

  /**
   * The definitions may change before the messages are applied. The results then count for nothing, because
   * applying compares the definitions.
   */
  async #loadDefinitions(
    messages: readonly (DecodedMessage | undefined)[],
  ): Promise<Map<OrganizationId, Definitions>> {
    const ids = new Set<OrganizationId>();
    for (const message of messages) {
      for (const { organizationId } of message?.events ?? []) ids.add(organizationId);
      for (const { organizationId } of message?.profiles ?? []) ids.add(organizationId);
    }
    return this.#deps.definitions.loadKnown(this.#deps.database.reader, [...ids]);
  }

  async #match(
    { events, profiles }: DecodedMessage,
    definitions: ReadonlyMap<OrganizationId, Definitions>,
    budget: WorkBudget,
  ): Promise<void> {
    for (const event of events) {
      const own = definitions.get(event.organizationId);
      if (own === undefined || this.#events.get(event)?.definitions === own) continue;
      this.#events.set(event, await inSlices(matchEventInSteps(own, event), budget));
    }
    for (const profile of profiles) {
      const own = definitions.get(profile.organizationId);
      if (own === undefined || this.#profiles.get(profile)?.definitions === own) continue;
      this.#profiles.set(profile, await inSlices(matchTraitsInSteps(own, profile), budget));
    }
  }
}

async function inSlices<Tracked>(
  steps: MatchSteps<Tracked>,
  budget: WorkBudget,
): Promise<PredicateMatch<Tracked>> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    budget.spend(step.value / UNITS_PER_MICROSECOND);
    if (budget.isSliceOver) await budget.turn();
  }
}
