// Tests the callers of every method of identity. The methods come from descriptors, so that no method is left
// out.
import type { DescMethod, DescMethodUnary } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import { EVERY_KEY_PERMISSION, newApiKeySecret, permissionsOf } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { Access, policy } from "@muster/contracts/muster/options/v1/options_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "./identity-under-test.ts";

const SERVICES = [OrganizationService, ApiKeyService, CredentialService, OrganizationDirectoryService];
const METHODS = SERVICES.flatMap(({ methods }) =>
  methods.filter((method: DescMethod): method is DescMethodUnary => method.methodKind === "unary"),
);
const PUBLIC = METHODS.filter((method) => getOption(method, policy).access !== Access.INTERNAL);
const INTERNAL = METHODS.filter((method) => getOption(method, policy).access === Access.INTERNAL);

/** A valid request of each method, so that only the caller's permissions can fail the call. */
const REQUESTS: Readonly<Record<string, Record<string, unknown>>> = {
  createOrganization: { name: "New" },
  listOrganizations: {},
  updateOrganization: { organization: { name: "Renamed", timeZone: "Europe/Berlin" } },
  createApiKey: { name: "New", scopes: ["events.read"] },
  listApiKeys: {},
  deleteApiKey: {},
  rotateApiKey: {},
  verifyApiKey: { keyHash: new Uint8Array(32) },
  verifySession: { sessionId: new Uint8Array(16), signingKeyId: new Uint8Array(16) },
  listSigningKeys: {},
  getOrganization: { organizationId: new Uint8Array(16) },
};

describe.each(ENGINES)("access to identity on %s", (engine) => {
  let identity: IdentityUnderTest;
  let owner: { organizationId: string; secret: string };
  let ownerKeyId: string;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    owner = await identity.organization();
    const { apiKeys } = await identity.call(ApiKeyService.method.listApiKeys, {}, { key: owner.secret });
    ownerKeyId = apiKeys[0]?.id ?? "";
  });
  afterAll(() => identity.close());

  function requestOf(method: DescMethodUnary): Record<string, unknown> {
    const request = REQUESTS[method.localName];
    if (request === undefined) throw new Error(`no request for ${method.name}`);
    const wantsKey = method.input.fields.some(({ name }) => name === "api_key_id");
    if (wantsKey) return { ...request, apiKeyId: ownerKeyId };
    const wantsOwn = method.input.fields.some(
      ({ name, scalar }) => name === "organization_id" && scalar === 9,
    );
    return wantsOwn ? { ...request, organizationId: owner.organizationId } : request;
  }

  test("the list of methods is the whole of identity", () => {
    expect(METHODS.map(({ localName }) => localName).sort()).toEqual(Object.keys(REQUESTS).sort());
  });

  test.each(PUBLIC)("$localName: no credentials, or none that anybody issued, are 401", async (method) => {
    const before = await identity.rowCounts();
    const unauthorized = [
      {},
      { key: newApiKeySecret() },
      { key: "nonsense" },
      { key: owner.secret.slice(0, -1) },
    ];
    for (const as of [...unauthorized, { service: "gateway" }]) {
      await expectReason(identity.call(method, requestOf(method), as), "UNAUTHENTICATED");
    }
    expect(await identity.rowCounts()).toEqual(before);
  });

  test.each(PUBLIC)("$localName: a key with every permission but the one it needs is 403", async (method) => {
    const { permission } = getOption(method, policy);
    const scopes = EVERY_KEY_PERMISSION.filter((known) => !permissionsOf([known]).has(permission));
    const { secret } = await identity.call(
      ApiKeyService.method.createApiKey,
      { name: "All but one", scopes },
      { key: owner.secret },
    );
    const before = await identity.rowCounts();
    await expectReason(identity.call(method, requestOf(method), { key: secret }), "PERMISSION_DENIED");
    // Refused before decoding: a malformed request reveals no more.
    await expectReason(
      identity.call(method, { pageSize: -1, name: "" }, { key: secret }),
      "PERMISSION_DENIED",
    );
    expect(await identity.rowCounts()).toEqual(before);
  });

  test.each(INTERNAL)(
    "$localName: internal, so neither the best key nor an unlisted service may",
    async (method) => {
      const refusals = [
        { as: {}, reason: "UNAUTHENTICATED" },
        { as: { key: owner.secret }, reason: "PERMISSION_DENIED" },
        { as: { service: "webhooks" }, reason: "PERMISSION_DENIED" },
      ];
      for (const { as, reason } of refusals) {
        await expect(identity.call(method, requestOf(method), as)).rejects.toMatchObject({ reason });
      }
    },
  );
});
