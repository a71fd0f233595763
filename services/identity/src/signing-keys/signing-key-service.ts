// Lists the RPC about published signing keys with its handler.
import { SigningKeyService } from "@muster/contracts/muster/identity/v1/signing_key_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { listPublishedKeys } from "./list-published-keys.ts";

/** Tokens of a new key appear 10 minutes after its publication. */
const CACHE_CONTROL = "public, max-age=300";

export function signingKeyService(deps: IdentityDeps): ServiceImplementation {
  return implement(SigningKeyService, {
    async getJwks(_request, { responseHeaders }) {
      const keys = await listPublishedKeys(deps);
      responseHeaders.set("cache-control", CACHE_CONTROL);
      return {
        keys: keys.map(({ id, x, y }) => ({
          kty: "EC",
          use: "sig",
          alg: "ES256",
          kid: id,
          crv: "P-256",
          x: base64url(x),
          y: base64url(y),
        })),
      };
    },
  });
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
