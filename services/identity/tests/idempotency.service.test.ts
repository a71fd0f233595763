// Tests a crash after the commit and before the response: the retry gets the response, and the effect happens
// once.
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "./identity-under-test.ts";
import { type SignedInUser, signInUser } from "./signed-in-user.ts";

const { createApiKey, listApiKeys, rotateApiKey } = ApiKeyService.method;
const { createOrganization } = OrganizationService.method;

describe.each(ENGINES)("responses commit with their effects on %s", (engine) => {
  let identity: IdentityUnderTest;
  let key: string;
  let user: SignedInUser;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine, { crashing: true });
    key = (await identity.organization()).secret;
    const { database, accessTokens, clock } = identity;
    user = await signInUser({ database, accessTokens, nowMs: clock.nowMs() });
  });
  afterAll(() => identity.close());

  test("CreateApiKey, RotateApiKey, CreateOrganization", async () => {
    const { apiKey } = await identity.call(createApiKey, { name: "Old", scopes: ["*"] }, { key });
    const calls = [
      (idempotencyKey: string) =>
        identity.call(createApiKey, { name: "New", scopes: ["*"] }, { key, idempotencyKey }),
      (idempotencyKey: string) =>
        identity.call(rotateApiKey, { apiKeyId: apiKey?.id ?? "" }, { key, idempotencyKey }),
      (idempotencyKey: string) =>
        identity.call(createOrganization, { name: "New" }, { key: user.token, idempotencyKey }),
    ];
    for (const [index, call] of calls.entries()) {
      const first = await call(`crash-${index}`);
      const counts = await identity.rowCounts();
      expect(await call(`crash-${index}`)).toEqual(first);
      expect(await identity.rowCounts()).toEqual(counts);
    }
    expect((await identity.call(listApiKeys, {}, { key })).apiKeys).toHaveLength(3);
  });
});
