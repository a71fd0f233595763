// Reads the end and the rank of an API key from a request, and checks who may give the rank.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { mayGrantOrTake, type Role, rankRoleOfKey, roleFromProto } from "@muster/authz";
import type { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import type { Transaction } from "@muster/db";
import { invalidField } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { readActor, requireRank } from "../membership-rules/actor.ts";

const PERMISSION = "api_keys.write";

/** Undefined for a key that does not expire. */
export function requestedEnd(time: Timestamp | undefined, field: string, nowMs: number): number | undefined {
  if (time === undefined) return undefined;
  const endMs = timestampMs(time);
  if (endMs <= nowMs) throw invalidField(field, "must be in the future");
  return endMs;
}

/** Undefined for a key that ranks as a member without having been raised. */
export function requestedRank(message: RoleMessage | undefined, field: string): Role | undefined {
  if (message === undefined) return undefined;
  const role = roleFromProto(message);
  if (role !== "admin" && role !== "member") throw invalidField(field, 'must be "admin" or "member"');
  return role;
}

/** PERMISSION_DENIED unless the caller is an owner. The transaction has locked the organization. */
export async function requireOwner(trx: Transaction, context: CallContext): Promise<void> {
  requireRank((await readActor(trx, context, PERMISSION)).role === "owner");
}

/** PERMISSION_DENIED for a caller below the rank of a key whose new secret the caller would receive. */
export async function requireRankOf(
  trx: Transaction,
  context: CallContext,
  grantUpTo: Role | undefined,
): Promise<void> {
  if (grantUpTo === undefined) return;
  const { role } = await readActor(trx, context, PERMISSION);
  requireRank(mayGrantOrTake(role, rankRoleOfKey(grantUpTo)));
}
