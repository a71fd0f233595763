// Tests that each change publishes its domain event once, and that a refused change publishes none.
import { fromBinary } from "@bufbuild/protobuf";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import {
  ApiKeyCreatedSchema,
  ApiKeyRevokedSchema,
  ApiKeyRotatedSchema,
  OrganizationUpdatedSchema,
} from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { type ApiKeyId, bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "./identity-under-test.ts";

const { createApiKey, deleteApiKey, rotateApiKey } = ApiKeyService.method;
const { updateOrganization } = OrganizationService.method;

describe.each(ENGINES)("domain events of identity on %s", (engine) => {
  let identity: IdentityUnderTest;
  let key: string;
  let organizationId: Buffer;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    const organization = await identity.organization();
    key = organization.secret;
    organizationId = uuidToBytes(organization.organizationId as OrganizationId);
  });
  afterAll(() => identity.close());

  test("a key is created, rotated and deleted; a repeated call publishes nothing", async () => {
    const as = { key, idempotencyKey: "once" };
    const { apiKey } = await identity.call(createApiKey, { name: "CI", scopes: ["events.read"] }, as);
    await identity.call(createApiKey, { name: "CI", scopes: ["events.read"] }, as);
    const apiKeyId = uuidToBytes(apiKey?.id as ApiKeyId);
    const timeMs = BigInt(identity.clock.nowMs());
    const [created, ...others] = await identity.publishedSince();
    expect(others).toEqual([]);
    expect(created?.type).toBe("muster.identity.api_key.created.v1");
    expect(fromBinary(ApiKeyCreatedSchema, created?.data ?? Buffer.of())).toMatchObject({
      organizationId,
      apiKeyId,
      name: "CI",
      scopes: ["events.read"],
      timeMs,
    });

    const successor = await identity.call(
      rotateApiKey,
      { apiKeyId: apiKey?.id ?? "", overlapSeconds: 60 },
      { key },
    );
    const [rotated] = await identity.publishedSince();
    expect(fromBinary(ApiKeyRotatedSchema, rotated?.data ?? Buffer.of())).toMatchObject({
      organizationId,
      apiKeyId,
      successorId: uuidToBytes(successor.apiKey?.id as ApiKeyId),
      endMs: timeMs + 60_000n,
      timeMs,
    });

    await identity.call(deleteApiKey, { apiKeyId: successor.apiKey?.id ?? "" }, { key });
    const [revoked] = await identity.publishedSince();
    expect(revoked?.type).toBe("muster.identity.api_key.revoked.v1");
    expect(fromBinary(ApiKeyRevokedSchema, revoked?.data ?? Buffer.of())).toMatchObject({
      apiKeyId: uuidToBytes(successor.apiKey?.id as ApiKeyId),
    });
  });

  test("an organization is updated; an update that changes nothing publishes nothing", async () => {
    const update = (name: string) =>
      identity.call(
        updateOrganization,
        {
          organizationId: bytesToUuid(organizationId),
          organization: { name, timeZone: "Europe/Berlin" },
          updateMask: { paths: ["name", "time_zone"] },
        },
        { key },
      );
    await update("Renamed");
    await update("Renamed");
    const [updated, ...others] = await identity.publishedSince();
    expect(others).toEqual([]);
    expect(fromBinary(OrganizationUpdatedSchema, updated?.data ?? Buffer.of())).toMatchObject({
      organizationId,
      name: "Renamed",
      timeZone: "Europe/Berlin",
    });
  });

  test("a refused change publishes nothing", async () => {
    const apiKeyId = "01900000-0000-7000-8000-000000000000";
    await expectReason(identity.call(deleteApiKey, { apiKeyId }, { key }), "API_KEY_NOT_FOUND");
    await expectReason(identity.call(rotateApiKey, { apiKeyId }, { key }), "API_KEY_NOT_FOUND");
    expect(await identity.publishedSince()).toEqual([]);
  });
});
