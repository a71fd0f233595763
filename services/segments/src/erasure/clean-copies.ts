// Removes the remaining copies of erased profiles after the rows are gone: outbox messages, dead letters and
// stored responses. Works in short transactions, each of which counts the removed copies. Repeating a step is
// harmless.
import type { DescService } from "@bufbuild/protobuf";
import { assert, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { AnswerEraser } from "@muster/idempotency";
import { scrubDeadLetters, scrubOutbox } from "@muster/outbox";
import { type Subjects, scrub } from "@muster/privacy";
import { answerWithout } from "@muster/rpc";
import { announcedWithout } from "../changes/announcements.ts";
import { receivedSchema } from "../consumers/decode-message.ts";
import { addPlaces, type Erasure } from "./erasure-store.ts";
import { places } from "./places.ts";

/** The dependencies of the cleaning. */
export interface CleanDeps {
  readonly database: Database;
  readonly answers: AnswerEraser;
  /** The services with stored responses. */
  readonly services: readonly DescService[];
}

/** Responses of a transaction. */
const ANSWERS_AT_ONCE = 20;

/** The erasures are of the same organization and shard. Returns false if stopped before the end. */
export async function cleanCopies(
  { database, answers, services }: CleanDeps,
  erasures: readonly Erasure[],
  mayGoOn: () => Promise<boolean>,
): Promise<boolean> {
  const [first] = erasures;
  if (first === undefined) return true;
  const { organizationId, shard } = first;
  const subjects = subjectsOf(organizationId, erasures);
  const needles = [...subjects.profileIds].map(uuidToBytes);
  const through = Math.max(...erasures.map((erasure) => erasure.through));
  const isScrubbed = await scrubOutbox(
    database,
    { shard, through },
    {
      ...{ needles, mayGoOn },
      rewrite: (type, data) => announcedWithout(type, data, subjects),
      changed: (trx, before) => countMentions(trx, erasures, before, places.outbox),
    },
  );
  if (!isScrubbed) return false;
  const areLettersScrubbed = await scrubDeadLetters(database, {
    ...{ needles, mayGoOn },
    rewrite: (type, data) => receivedWithout(type, data, subjects),
    changed: (trx, before) => countMentions(trx, erasures, before, places.deadLetters),
  });
  if (!areLettersScrubbed) return false;
  const rewrite = answerWithout(services, subjects);
  for (const erasure of erasures) {
    for (let isLast = false; !isLast; ) {
      if (!(await mayGoOn())) return false;
      isLast = await database.transaction(async (trx) => {
        const { found, rewritten } = await answers.erase(trx, [erasure.profileId], ANSWERS_AT_ONCE, rewrite);
        await addPlaces(trx, erasure, { [places.answers]: rewritten });
        return found < ANSWERS_AT_ONCE;
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
  place: string,
): Promise<void> {
  for (const erasure of erasures) {
    const needle = uuidToBytes(erasure.profileId);
    const count = messages.filter((message) => Buffer.from(message).includes(needle)).length;
    await addPlaces(trx, erasure, { [place]: count });
  }
}

/** Throws for a message of an unknown type. */
function receivedWithout(type: string, data: Uint8Array, subjects: Subjects): Uint8Array | undefined {
  const schema = receivedSchema(type);
  assert(schema !== undefined, `a message of an unknown type cannot be erased: ${type}`);
  return scrub(schema, data, subjects);
}
