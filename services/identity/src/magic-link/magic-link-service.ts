// MagicLinkService: signing in by a mail.
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { redeemMagicLink } from "./redeem-magic-link.ts";
import { sendMagicLink } from "./send-magic-link.ts";

export function magicLinkService(deps: IdentityDeps): ServiceImplementation {
  return implement(MagicLinkService, {
    sendMagicLink: sendMagicLink(deps),
    redeemMagicLink: redeemMagicLink(deps),
  });
}
