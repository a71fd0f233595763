// Stores accounts in the database of a running installation, in the states that a login distinguishes.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type OrganizationId, randomIds, systemClock, type UserId } from "@muster/core";
import { type Database, openSqlite } from "@muster/db";
import { insertMembership } from "../../../services/identity/src/memberships/membership-store.ts";
import { Passwords } from "../../../services/identity/src/passwords/passwords.ts";
import { insertRegistration } from "../../../services/identity/src/registration/registration-store.ts";
import { insertUser } from "../../../services/identity/src/users/user-store.ts";
import type { Installation } from "../../harness/installation.ts";

export const PASSWORD = "a quiet lake at noon";

export interface Accounts {
  readonly unknown: string;
  readonly unverified: string;
  readonly suspended: string;
  readonly active: string;
}

export async function storeAccounts({ variables }: Installation): Promise<Accounts> {
  const passwordHash = await new Passwords({ clock: systemClock, slots: 1 }).hash(PASSWORD);
  const database = await openSqlite({ path: join(variables.MUSTER_DATA_DIR ?? "", "identity.sqlite") });
  try {
    const [active, suspended] = [
      await storeUser(database, passwordHash, "active"),
      await storeUser(database, passwordHash, "suspended"),
    ];
    const unverified = await storeRegistration(database, passwordHash);
    return { unknown: addressOf("nobody"), unverified, suspended, active };
  } finally {
    await database.close();
  }
}

function addressOf(name: string): string {
  return `${name}-${randomBytes(6).toString("hex")}@example.test`;
}

async function storeUser(
  database: Database,
  passwordHash: string,
  status: "active" | "suspended",
): Promise<string> {
  const nowMs = systemClock.nowMs();
  const [id, organizationId] = [randomIds.next<UserId>(nowMs), randomIds.next<OrganizationId>(nowMs)];
  const email = addressOf(status);
  const times = { createTimeMs: nowMs, updateTimeMs: nowMs };
  await database.transaction(async (trx) => {
    await insertUser(trx, {
      ...times,
      id,
      email,
      emailKey: email,
      isEmailVerified: true,
      name: "Ada",
      locale: undefined,
      passwordHash,
      isPasswordResetRequired: false,
      securityVersion: 1,
      lastOrganizationId: undefined,
    });
    const logins = { lastLoginTimeMs: undefined, loginCount: 0, version: 1 };
    const membership = { organizationId, userId: id, name: "Ada", role: "member", status } as const;
    await insertMembership(trx, { ...membership, ...logins, ...times });
  });
  return email;
}

async function storeRegistration(database: Database, passwordHash: string): Promise<string> {
  const nowMs = systemClock.nowMs();
  const email = addressOf("unverified");
  await database.transaction((trx) =>
    insertRegistration(trx, randomBytes(32), {
      registrationId: randomIds.next(nowMs),
      email,
      emailKey: email,
      name: "Ada",
      passwordHash,
      organizationName: undefined,
      invitationHash: undefined,
      createTimeMs: nowMs,
      expireTimeMs: nowMs + 3_600_000,
    }),
  );
  return email;
}
