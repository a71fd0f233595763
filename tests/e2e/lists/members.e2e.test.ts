// Tests the list of members over REST, gRPC and Connect: exact fields, selected fields, inclusions, and positions.
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { connectMount, grpcMount } from "../../harness/mounts.ts";
import { RestClient } from "../../harness/rest.ts";

const FIELDS = [
  ...["id", "email", "name", "role", "status", "verified", "last_login_at", "login_count", "version"],
  ...["create_time", "update_time"],
];

describe("the list of members", () => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    rest = new RestClient(installation);
  });
  afterAll(() => installation?.stop());

  const keysOf = async (query: string): Promise<string[]> => {
    const { status, body, text } = await rest.get(`/v1/users?${query}`);
    expect(status, text).toBe(200);
    expect(Object.keys(body)).toEqual(["users", "next_page_token"]);
    return Object.keys(body.users[0]);
  };

  test("a member has exactly the fields of the contract, under both paths", async () => {
    expect(await keysOf("")).toEqual(FIELDS);
    const { body } = await rest.get("/api/users?filter=email==OWNER@demo.test");
    expect(body.users).toMatchObject([{ email: "owner@demo.test", role: "owner", status: "active" }]);
  });

  test("fields and inclusions change the fields of a member, and nothing else", async () => {
    expect(await keysOf("fields=name,id")).toEqual(["id", "name"]);
    expect(await keysOf("fields=createTime")).toEqual(["create_time"]);
    expect(await keysOf("include=orgs,roles")).toEqual([...FIELDS, "orgs", "roles"]);
    expect(await keysOf("fields=id&include=roles")).toEqual(["id", "roles"]);
    const { body } = await rest.get("/v1/users?include=orgs&include=roles");
    const [{ orgs, roles }] = body.users;
    expect(Object.keys(orgs[0])).toEqual(["id", "name"]);
    expect(roles).toMatchObject([{ organization_id: orgs[0].id, role: "owner" }]);
    expect(roles[0].permissions).toContain("users.delete");
  });

  test("fields select the fields of one member, with an entity tag for changes", async () => {
    const created = await rest.post("/v1/users", { email: "tag@example.test", name: "Tag", role: "member" });
    const { id, version } = created.body;
    const path = `/v1/users/${id}`;
    const selected = await rest.get(`${path}?fields=id,role`);
    expect(selected.body).toEqual({ id, role: "member" });
    expect((await rest.get(`${path}?fields=version`)).body).toEqual({ version });
    const etag = selected.headers.get("etag") ?? "";
    const same = await rest.request("GET", `${path}?fields=id,role`, undefined, { "if-none-match": etag });
    expect(same.status).toBe(304);
    const rename = (name: string) => rest.request("PATCH", path, { name }, { "if-match": etag });
    expect((await rename("Tagged")).body).toMatchObject({ name: "Tagged", role: "member" });
    expect((await rename("Late")).status).toBe(412);
    expect((await rest.request("DELETE", path)).status).toBe(204);
  });

  test("fields select the fields of profiles", async () => {
    const { body } = await rest.post("/v1/profiles", { user_id: "selected", traits: { plan: "pro" } });
    const { id } = body;
    const read = (query: string) => rest.get(`/v1/profiles${query}`);
    expect((await read(`/${id}?fields=id,traits`)).body).toEqual({ id, traits: { plan: "pro" } });
    expect((await read(`/${id}?fields=userId,email`)).body).toEqual({ user_id: "selected", email: null });
    expect((await read(`/${id}?fields=`)).body).toEqual(body);
    const selected = { profiles: [{ id }], next_page_token: "" };
    expect((await read("?user_id=selected&fields=id")).body).toEqual(selected);
    const first = await read("?fields=id&page_size=1");
    expect(first.body.profiles.map(Object.keys)).toEqual([["id"]]);
    const token = first.body.next_page_token;
    if (token !== "") expect((await read(`?fields=name&page_size=1&page_token=${token}`)).status).toBe(400);
  });

  test("an unknown field is refused by every resource that selects fields", async () => {
    const [user] = (await rest.get("/v1/users")).body.users;
    const profile = await rest.post("/v1/profiles", { user_id: "unknown field" });
    const paths = ["/v1/users", `/v1/users/${user.id}`, "/v1/profiles", `/v1/profiles/${profile.body.id}`];
    for (const path of paths) {
      for (const name of ["password_hash", "constructor", "orgs"]) {
        const { status, body } = await rest.get(`${path}?fields=id,${name}`);
        expect([path, status, body.fields?.[0].field]).toEqual([path, 400, "fields"]);
        expect(body.details).toEqual({ position: 3 });
      }
    }
  });

  test("an encoded plus is a time zone", async () => {
    const since = encodeURIComponent("create_time>=2020-01-01T00:00:00+02:00");
    expect((await rest.get(`/v1/users?filter=${since}`)).body.users).toHaveLength(1);
    const until = encodeURIComponent("create_time<2020-01-01T00:00:00+02:00");
    expect((await rest.get(`/v1/users?filter=${until}`)).body.users).toEqual([]);
  });

  test("a mistake has its position as a number", async () => {
    const filter = encodeURIComponent("name=='💥';nope==1");
    const { status, body } = await rest.get(`/v1/users?filter=${filter}`);
    expect([status, body.reason, body.details]).toEqual([400, "FIELD_INVALID", { position: 10 }]);
  });

  test("gRPC and Connect list the same members, and refuse the same filters", async () => {
    const { body } = await rest.get("/v1/users");
    for (const mount of [grpcMount(installation), connectMount(installation)]) {
      const { users } = await mount.call(UserService.method.listUsers, { q: "owner" }, installation.apiKey);
      expect(users.map(({ id }) => id)).toEqual(body.users.map(({ id }: { id: string }) => id));
      await expect(
        mount.call(UserService.method.listUsers, { filter: "nope==1" }, installation.apiKey),
      ).rejects.toMatchObject({ reason: "FIELD_INVALID", details: { position: "0" } });
    }
  });
});
