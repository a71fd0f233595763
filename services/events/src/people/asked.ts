// Declares the origin of an identity change: organization, credential and request trace.
import type { OrganizationId } from "@muster/core";
import type { CallContext } from "@muster/rpc";

export interface Asked {
  readonly organizationId: OrganizationId;
  /** Kind and id of the credential, for example `api_key:<id>`. */
  readonly actor: string;
  readonly traceParent: string;
}

export function askedBy({ organizationId, principal, traceParent }: CallContext): Asked {
  return { organizationId, actor: `${principal.kind}:${principal.id}`, traceParent };
}
