// Tests the list of members: filters, sorts, searches, selected fields, pages, and isolation of organizations.
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import type { UserId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { StoredMembers } from "./stored-members.ts";

const DAY = Date.UTC(2025, 0, 1);

describe.each(ENGINES)("ListUsers on %s", (engine) => {
  let identity: IdentityUnderTest;
  let acme: StoredMembers;
  const ids: UserId[] = [];

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    acme = await StoredMembers.open(identity);
    const globex = await StoredMembers.open(identity);
    const members = [
      {
        name: "John Smith",
        email: "john.smith@example.com",
        role: "owner",
        lastLoginTimeMs: DAY,
        loginCount: 5,
      },
      { name: "Ada Jones", email: "ada@jones.example", lastLoginTimeMs: DAY + 1, loginCount: 5 },
      { name: "joanna O'Brien", email: "Joanna@Example.com", status: "suspended", loginCount: 1 },
      { name: "100%_*", email: "percent@example.com", role: "auditor", lastLoginTimeMs: DAY },
      { name: "", email: "invited@example.com", status: "invited" },
      { name: "Jo", email: "jo@example.com", role: "admin", createTimeMs: DAY - 1, updateTimeMs: DAY },
    ] as const;
    for (const member of members) ids.push(await acme.add(member));
    await globex.add({ name: "John Globex" });
    // A member of both: what Globex stores is no part of Acme's lists.
    await globex.add({ name: "Secret Name", loginCount: 77 }, ids[0]);
  });
  afterAll(() => identity.close());

  test("a list has every member of the organization by id, as GetUser returns them", async () => {
    const { users, nextPageToken } = await acme.list();
    expect(users.map(({ id }) => id)).toEqual([...ids].sort());
    expect(nextPageToken).toBe("");
    expect(users[0]).toMatchObject({
      id: ids[0],
      email: "john.smith@example.com",
      name: "John Smith",
      role: RoleMessage.OWNER,
      status: MemberStatus.ACTIVE,
      verified: true,
      loginCount: 5n,
      version: 1n,
      orgs: [],
      roles: [],
    });
    expect(users.find(({ status }) => status === MemberStatus.INVITED)?.verified).toBe(false);
  });

  test.each([
    ["name==john*", ["John Smith"]],
    ["name==*JO*", ["John Smith", "Ada Jones", "joanna O'Brien", "Jo"]],
    ["email==joanna@example.com", ["joanna O'Brien"]],
    ["email==JOANNA@Example.COM", ["joanna O'Brien"]],
    ["email=in=(JOANNA@Example.COM,x)", ["joanna O'Brien"]],
    ["email==*@JONES.*", ["Ada Jones"]],
    [`name=="joanna o'brien"`, ["joanna O'Brien"]],
    ["name==*%*", ["100%_*"]],
    ["name==*_*", ["100%_*"]],
    ["name==*\\*", ["100%_*"]],
    ['name==""', [""]],
    ["role==owner,role==admin", ["John Smith", "Jo"]],
    ["role=out=(owner,member)", ["100%_*", "Jo"]],
    ["status!=active", ["joanna O'Brien", ""]],
    ["verified==false", [""]],
    ["login_count>=5;name==j*", ["John Smith"]],
    ["login_count==5 and name==a* or role==admin", ["Ada Jones", "Jo"]],
    ["last_login_at>2025-01-01T00:00:00Z", ["Ada Jones"]],
    ["last_login_at==2025-01-01", ["John Smith", "Ada Jones", "100%_*"]],
    ["last_login_at!=2025-01-01", ["joanna O'Brien", "", "Jo"]],
    ["created_at<2025-01-01", ["Jo"]],
    ["create_time<2025-01-01T01:00:00+01:00", ["Jo"]],
    ["updated_at==2025-01-01T00:00:00.000Z", ["Jo"]],
    ["name==Secret*,login_count==77", []],
  ])("filter %s", async (filter, names) => {
    expect(await acme.names({ filter })).toEqual(names);
  });

  test("filter by id", async () => {
    expect(await acme.names({ filter: `id==${ids[1]}` })).toEqual(["Ada Jones"]);
    expect(await acme.names({ filter: `id=out=(${ids.slice(1).join(",")})` })).toEqual(["John Smith"]);
  });

  test.each([
    ["name", ["", "100%_*", "Ada Jones", "Jo", "joanna O'Brien", "John Smith"]],
    ["-name", ["John Smith", "joanna O'Brien", "Jo", "Ada Jones", "100%_*", ""]],
    ["last_login_at", ["joanna O'Brien", "", "Jo", "John Smith", "100%_*", "Ada Jones"]],
    ["-last_login_at", ["Ada Jones", "John Smith", "100%_*", "joanna O'Brien", "", "Jo"]],
    ["-login_count,name", ["Ada Jones", "John Smith", "joanna O'Brien", "", "100%_*", "Jo"]],
    ["role,-id", ["Jo", "100%_*", "", "joanna O'Brien", "Ada Jones", "John Smith"]],
    ["-verified,-email", ["100%_*", "John Smith", "joanna O'Brien", "Jo", "Ada Jones", ""]],
    ["create_time", ["Jo", "John Smith", "Ada Jones", "joanna O'Brien", "100%_*", ""]],
  ])("sort %s, in pages of every size", async (sort, names) => {
    for (const pageSize of [1, 2, 3, 6, 50]) {
      expect((await acme.walk({ sort, pageSize })).flat(), `pages of ${pageSize}`).toEqual(names);
    }
  });

  test.each([
    ["jo", ["Jo", "John Smith", "Ada Jones", "joanna O'Brien"]],
    ["JOHN smi", ["John Smith"]],
    ["smith john", ["John Smith"]],
    ["o'brien", ["joanna O'Brien"]],
    ["john.smith@example.com", ["John Smith"]],
    ["example jo", ["Jo", "John Smith", "joanna O'Brien", "Ada Jones"]],
    ["100", ["100%_*"]],
    ["secret", []],
    ["ohn", []],
  ])("search %s, in pages of every size", async (q, names) => {
    for (const pageSize of [1, 2, 50]) {
      const found = (await acme.walk({ q, pageSize })).flat();
      expect(found.slice(0, 1), `pages of ${pageSize}`).toEqual(names.slice(0, 1));
      expect([...found].sort(), `pages of ${pageSize}`).toEqual([...names].sort());
    }
  });

  test("a search takes a filter and a sort", async () => {
    expect(await acme.names({ q: "jo", filter: "status==active" })).toEqual([
      "Jo",
      "John Smith",
      "Ada Jones",
    ]);
    expect(await acme.names({ q: "jo", filter: "role!=admin", sort: "-name" })).toEqual([
      "John Smith",
      "joanna O'Brien",
      "Ada Jones",
    ]);
  });

  test("selected fields are the only ones that leave the service", async () => {
    const { users } = await acme.list({ fields: { paths: ["id", "name"] }, pageSize: 1 });
    expect(users).toMatchObject([{ id: ids[0], name: "John Smith", email: "", loginCount: 0n, version: 0n }]);
    expect(users[0]?.createTime).toBeUndefined();
  });

  test("included organizations are the caller's alone", async () => {
    const { users } = await acme.list({ include: ["orgs", "roles"], filter: `id==${ids[0]}` });
    expect(users[0]?.orgs).toMatchObject([{ id: acme.organizationId, name: "Acme" }]);
    expect(users[0]?.roles).toMatchObject([{ organizationId: acme.organizationId, role: RoleMessage.OWNER }]);
    expect(users[0]?.roles[0]?.permissions).toContain("organizations.delete");
    const onlyRoles = await acme.list({ include: ["roles"], filter: `id==${ids[3]}` });
    expect(onlyRoles.users[0]).toMatchObject({ orgs: [], roles: [{ role: RoleMessage.AUDITOR }] });
  });

  test.each([
    [{ filter: "name=='x';drop" }, "filter", 14],
    [{ filter: "password_hash==*" }, "filter", 0],
    [{ filter: "two_factor_secret!=''" }, "filter", 0],
    [{ filter: "name==x;created_at>=2025-01-01T00:00:00" }, "filter", 20],
    [{ filter: "verified==yes" }, "filter", 10],
    [{ filter: "role==superuser" }, "filter", 6],
    [{ sort: "name,password_hash" }, "sort", 5],
    [{ fields: { paths: ["id", "password_hash"] } }, "fields", 3],
    [{ include: ["orgs", "sessions"] }, "include", 5],
    [{ q: "!!" }, "q", 0],
  ])("%o is refused with its position", async (list, field, position) => {
    const error = await expectReason(acme.list(list), "FIELD_INVALID");
    expect(error.fields.map((one) => one.field)).toEqual([field]);
    expect(error.details).toEqual({ position: String(position) });
  });

  test("a page token is of its list", async () => {
    const { nextPageToken } = await acme.list({ pageSize: 2, sort: "name" });
    await expectReason(
      acme.list({ pageSize: 2, sort: "-name", pageToken: nextPageToken }),
      "PAGE_TOKEN_INVALID",
    );
    await expectReason(
      acme.list({ pageSize: 2, sort: "name", filter: "name==*", pageToken: nextPageToken }),
      "PAGE_TOKEN_INVALID",
    );
    const globex = await StoredMembers.open(identity);
    await expectReason(globex.list({ sort: "name", pageToken: nextPageToken }), "PAGE_TOKEN_INVALID");
    const search = await acme.list({ q: "jo", pageSize: 1 });
    await expectReason(acme.list({ q: "joh", pageToken: search.nextPageToken }), "PAGE_TOKEN_INVALID");
  });
});
