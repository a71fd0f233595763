import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { randomIds, uuidToBytes } from "@muster/core";
import {
  createOrganizationDirect,
  DEMO_ORGANIZATION_ID,
  ensureDemoOrganization,
} from "@muster/service-identity";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "./identity-under-test.ts";

const { createOrganization, listOrganizations, updateOrganization } = OrganizationService.method;
const { getOrganization } = OrganizationDirectoryService.method;
const { listApiKeys } = ApiKeyService.method;

describe.each(ENGINES)("organizations on %s", (engine) => {
  let identity: IdentityUnderTest;
  let key: string;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    key = (await identity.organization("Acme")).secret;
  });
  afterAll(() => identity.close());

  test("a new organization has a first key that may do everything, in it alone", async () => {
    const made = await identity.call(createOrganization, { name: "Zoë & co " }, { key });
    expect(made.apiKey).toMatchObject({ scopes: ["*"], prefix: made.secret.slice(0, 11) });

    const own = await identity.call(listOrganizations, {}, { key: made.secret });
    expect(own.organizations).toEqual([made.organization]);
    expect(own.organizations[0]?.name).toBe("Zoë & co ");
    expect(own.nextPageToken).toBe("");
    const keys = await identity.call(listApiKeys, {}, { key: made.secret });
    expect(keys.apiKeys).toEqual([made.apiKey]);
  });

  test("another organization's key reads no organization", async () => {
    const { organizations } = await identity.call(listOrganizations, {}, { key });
    expect(organizations.map(({ name }) => name)).toEqual(["Acme"]);
  });

  test("two of one name are two organizations", async () => {
    const [one, two] = await Promise.all([
      identity.call(createOrganization, { name: "Twin" }, { key }),
      identity.call(createOrganization, { name: "Twin" }, { key }),
    ]);
    expect(one.organization?.id).not.toBe(two.organization?.id);
  });

  test("a bad name is refused by name and leaves nothing", async () => {
    const before = await identity.rowCounts();
    for (const name of ["", "x".repeat(256)]) {
      const refused = { reason: "FIELD_INVALID", fields: [{ field: "name" }] };
      await expect(identity.call(createOrganization, { name }, { key })).rejects.toMatchObject(refused);
      const direct = createOrganizationDirect(identity.database, {
        clock: identity.clock,
        ids: randomIds,
        name,
      });
      await expect(direct).rejects.toMatchObject(refused);
    }
    await expectReason(
      identity.call(listOrganizations, { pageToken: "anything" }, { key }),
      "PAGE_TOKEN_INVALID",
    );
    expect(await identity.rowCounts()).toEqual(before);
  });

  test("its days begin in UTC by default; other services read its time zone", async () => {
    const make = (request: object) =>
      identity.call(createOrganization, { name: "Zoned", ...request }, { key });
    expect((await make({})).organization?.timeZone).toBe("UTC");
    const { organization } = await make({ timeZone: "america/new_york" });
    expect(organization?.timeZone).toBe("America/New_York");
    for (const timeZone of ["", "Mars/Olympus", "+02:00", "x".repeat(65)]) {
      await expectReason(make({ timeZone }), "FIELD_INVALID", { fields: [{ field: "time_zone" }] });
    }
    const query = { organizationId: uuidToBytes(organization?.id ?? "") };
    const loaded = await identity.call(getOrganization, query, { service: "segments" });
    expect(loaded.organization).toEqual(organization);
    const unknown = { organizationId: new Uint8Array(16) };
    await expectReason(
      identity.call(getOrganization, unknown, { service: "segments" }),
      "ORGANIZATION_NOT_FOUND",
    );
  });

  test("an update changes what the mask names, or else what is set", async () => {
    const made = await identity.call(createOrganization, { name: "Before" }, { key });
    const organizationId = made.organization?.id ?? "";
    const update = async (organization: object, paths: string[] = []) => {
      const request = { organizationId, organization, updateMask: { paths } };
      const response = await identity.call(updateOrganization, request, { key: made.secret });
      const { organizations } = await identity.call(listOrganizations, {}, { key: made.secret });
      expect(organizations).toEqual([response.organization]);
      expect(response.organization).toMatchObject({
        id: organizationId,
        createTime: made.organization?.createTime,
      });
      return [response.organization?.name, response.organization?.timeZone];
    };
    expect(await update({ timeZone: "Europe/Berlin" })).toEqual(["Before", "Europe/Berlin"]);
    expect(await update({ name: "After", timeZone: "Asia/Tokyo" }, ["name"])).toEqual([
      "After",
      "Europe/Berlin",
    ]);
    expect(await update({})).toEqual(["After", "Europe/Berlin"]);
    expect(await update({}, ["time_zone"])).toEqual(["After", "UTC"]);
    const refusals: [object, string[], string][] = [
      [{ timeZone: "Nowhere" }, [], "organization.time_zone"],
      [{ name: "" }, [], "organization.name"],
      [{}, ["name"], "organization.name"],
      [{ name: "Again" }, ["name", "id"], "update_mask"],
    ];
    for (const [organization, paths, field] of refusals) {
      await expect(update(organization, paths)).rejects.toMatchObject({ fields: [{ field }] });
    }
    expect(await update({})).toEqual(["After", "UTC"]);
  });

  test("another's organization is not found, and not changed", async () => {
    const other = await identity.organization("Other");
    for (const organizationId of [other.organizationId, "", "nonsense"]) {
      const request = { organizationId, organization: { name: "Mine" } };
      await expectReason(identity.call(updateOrganization, request, { key }), "ORGANIZATION_NOT_FOUND");
    }
    const { organizations } = await identity.call(listOrganizations, {}, { key: other.secret });
    expect(organizations.map(({ name }) => name)).toEqual(["Other"]);
  });

  test("the same idempotency key makes one organization", async () => {
    const as = { key, idempotencyKey: "found" };
    const first = await identity.call(createOrganization, { name: "Once" }, as);
    const counts = await identity.rowCounts();
    expect(await identity.call(createOrganization, { name: "Once" }, as)).toEqual(first);
    expect(await identity.rowCounts()).toEqual(counts);
  });

  test("the demo organization is made once, by one of several, and a lost key can be replaced", async () => {
    const options = { clock: identity.clock, ids: randomIds };
    const made = await Promise.all(
      Array.from({ length: 5 }, () => ensureDemoOrganization(identity.database, options)),
    );
    const secrets = made.flatMap(({ secret }) => (secret === undefined ? [] : [secret]));
    expect(secrets).toHaveLength(1);
    expect(new Set(made.map(({ organizationId }) => organizationId))).toEqual(
      new Set([DEMO_ORGANIZATION_ID]),
    );

    expect((await ensureDemoOrganization(identity.database, options)).secret).toBeUndefined();
    const replaced = await ensureDemoOrganization(identity.database, { ...options, keyLost: true });
    for (const secret of [...secrets, replaced.secret]) {
      const { organizations } = await identity.call(listOrganizations, {}, { key: secret });
      expect(organizations.map(({ id }) => id)).toEqual([DEMO_ORGANIZATION_ID]);
    }
  });
});
