import { expect, test } from "vitest";
import { checkSecrets } from "./secrets.ts";

// Each secret is put together here, because this file is checked as well.
const planted: [string, string][] = [
  ["an API key of Muster", `curl -H "Authorization: Bearer ${"mk_"}${"a1B2c3D4".repeat(6)}"`],
  ["the secret of an installation", `MUSTER_${"SECRET"}=${Buffer.alloc(32, 7).toString("base64")}`],
  [
    "a secret as the default of a compose file",
    `MUSTER_${"SECRET"}: \${MUSTER_${"SECRET"}:-${Buffer.alloc(32, 9).toString("base64")}}`,
  ],
  [
    "a private key",
    `-----BEGIN RSA ${"PRIVATE KEY"}-----\n${"MIIEpAIBAAKCAQEA7bq1".repeat(9)}\n-----END RSA ${"PRIVATE KEY"}-----`,
  ],
  ["a database password", `mysql://muster:${"hunter2hunter2"}@db.internal:3306/muster`],
  ["a token of a code host", `token: ${"ghp_"}${"wWPw5k4aXcaT4fNP0UcnZwJUVFk6"}${"LO0pINUx"}`],
];

test.each(planted)("%s is found, and the finding does not repeat it", async (_, secret) => {
  const found = await checkSecrets({ path: "docs/page.md", text: `first line\n${secret}\n` });
  expect(found.length).toBeGreaterThan(0);
  expect(found[0]).toMatchObject({ path: "docs/page.md", line: 2 });
  const words = secret.match(/[\w+/]{12,}/g) ?? [];
  for (const word of words) expect(JSON.stringify(found)).not.toContain(word);
});

test("names of variables, placeholders and example values pass", async () => {
  const text = [
    "MUSTER_SECRET=",
    "MUSTER_SECRET: the output of `openssl rand -base64 32`",
    `MUSTER_SECRET: ${Buffer.from("only for a machine of your own......").toString("base64")}`,
    "mysql://user:password@host:port",
    "an API key starts with mk_",
  ].join("\n");
  expect(await checkSecrets({ path: "docs/page.md", text })).toEqual([]);
});
