// Removes the remaining copies of erased profiles after the rows are gone: outbox messages, dead letters and
// stored responses. Works in short transactions, each of which counts the removed copies. Repeating a step is
// harmless.
import type { DescService } from "@bufbuild/protobuf";
import { assert, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { ResponseEraser } from "@muster/idempotency";
import { eraseFromDeadLetters, eraseFromOutbox } from "@muster/outbox";
import { eraseSubjects, type Subjects } from "@muster/privacy";
import { responseWithout } from "@muster/rpc";
import { eraseFromMessage } from "../announcements/announcements.ts";
import { messageSchema } from "../events/decode-message.ts";
import { addRemovedCounts, type Erasure } from "./erasure-store.ts";
import { locations } from "./locations.ts";

/** The dependencies of the cleaning. */
export interface CleanDeps {
  readonly database: Database;
  readonly responses: ResponseEraser;
  /** The services with stored responses. */
  readonly services: readonly DescService[];
}

/** Responses of a transaction. */
const RESPONSES_AT_ONCE = 20;

/** The erasures are of the same organization and shard. Returns false if stopped before the end. */
export async function cleanCopies(
  { database, responses, services }: CleanDeps,
  erasures: readonly Erasure[],
  shouldContinue: () => Promise<boolean>,
): Promise<boolean> {
  const [first] = erasures;
  if (first === undefined) return true;
  const { organizationId, shard } = first;
  const subjects = subjectsOf(organizationId, erasures);
  const profileIdBytes = [...subjects.profileIds].map(uuidToBytes);
  const through = Math.max(...erasures.map((erasure) => erasure.through));
  const isErased = await eraseFromOutbox(
    database,
    { shard, through },
    {
      profileIdBytes,
      shouldContinue,
      rewrite: (type, data) => eraseFromMessage(type, data, subjects),
      changed: (trx, before) => countMentions(trx, erasures, before, locations.outbox),
    },
  );
  if (!isErased) return false;
  const areDeadLettersScrubbed = await eraseFromDeadLetters(database, {
    profileIdBytes,
    shouldContinue,
    rewrite: (type, data) => messageWithout(type, data, subjects),
    changed: (trx, before) => countMentions(trx, erasures, before, locations.deadLetters),
  });
  if (!areDeadLettersScrubbed) return false;
  const rewrite = responseWithout(services, subjects);
  for (const erasure of erasures) {
    for (let isLast = false; !isLast; ) {
      if (!(await shouldContinue())) return false;
      isLast = await database.transaction(async (trx) => {
        const { found, rewritten } = await responses.erase(
          trx,
          [erasure.profileId],
          RESPONSES_AT_ONCE,
          rewrite,
        );
        await addRemovedCounts(trx, erasure, { [locations.responses]: rewritten });
        return found < RESPONSES_AT_ONCE;
      });
    }
  }
  return true;
}

function subjectsOf(organizationId: OrganizationId, erasures: readonly Erasure[]): Subjects {
  return { organizationId, profileIds: new Set<ProfileId>(erasures.map(({ profileId }) => profileId)) };
}

async function countMentions(
  trx: Transaction,
  erasures: readonly Erasure[],
  messages: readonly Uint8Array[],
  location: string,
): Promise<void> {
  for (const erasure of erasures) {
    const idBytes = uuidToBytes(erasure.profileId);
    const count = messages.filter((message) => Buffer.from(message).includes(idBytes)).length;
    await addRemovedCounts(trx, erasure, { [location]: count });
  }
}

/** Throws for a message of an unknown type. */
function messageWithout(type: string, data: Uint8Array, subjects: Subjects): Uint8Array | undefined {
  const schema = messageSchema(type);
  assert(schema !== undefined, `a message of an unknown type cannot be erased: ${type}`);
  return eraseSubjects(schema, data, subjects);
}
