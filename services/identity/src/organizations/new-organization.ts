// Creates an organization together with its first key, which holds every permission.
import { EVERY_PERMISSION } from "@muster/authz";
import type { Clock, IdSource, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { insertApiKey } from "../api-keys/api-key-store.ts";
import { type IssuedApiKey, issueApiKey } from "../api-keys/issue-api-key.ts";
import { createdOrganization, type Organization, TIME_ZONE_DEFAULT } from "./organization.ts";
import { insertOrganization } from "./organization-store.ts";

const FIRST_KEY_NAME = "First key";

export interface NewOrganization extends IssuedApiKey {
  readonly organization: Organization;
}

interface NewOrganizationOptions {
  readonly name: string;
  readonly id?: OrganizationId;
  readonly keyName?: string;
  readonly timeZone?: string;
}

export function newOrganization(
  { clock, ids }: { readonly clock: Clock; readonly ids: IdSource },
  { name, id, keyName, timeZone = TIME_ZONE_DEFAULT }: NewOrganizationOptions,
): NewOrganization {
  const createTimeMs = clock.nowMs();
  const organizationId = id ?? ids.next<OrganizationId>(createTimeMs);
  const organization = createdOrganization({ id: organizationId, name, createTimeMs, timeZone });
  const issued = issueApiKey(
    { clock, ids },
    { organizationId: organization.id, name: keyName ?? FIRST_KEY_NAME, scopes: [EVERY_PERMISSION] },
  );
  return { organization, ...issued };
}

export async function insertNewOrganization(
  trx: Transaction,
  { organization, apiKey }: NewOrganization,
): Promise<void> {
  await insertOrganization(trx, organization);
  await insertApiKey(trx, apiKey);
}
