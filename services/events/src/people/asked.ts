// Who asks for a change of who is who, and within which request.
import type { OrganizationId } from "@muster/core";
import type { CallContext } from "@muster/rpc";

export interface Asked {
  readonly organizationId: OrganizationId;
  /** Kind and id of the credential. */
  readonly actor: string;
  readonly traceParent: string;
}

export function askedBy({ organizationId, principal, traceParent }: CallContext): Asked {
  return { organizationId, actor: `${principal.kind}:${principal.id}`, traceParent };
}
