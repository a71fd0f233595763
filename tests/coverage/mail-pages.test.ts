// Tests that every link of a mail has its page, and that every page calls a route that exists.
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { pages } from "../../services/gateway/src/pages/page.ts";
import { mailKinds } from "../../services/identity/src/mail/texts/mail-kind.ts";

test("links of mails and pages are the same", () => {
  const linked = Object.values(mailKinds).flatMap(({ page }) => (page === undefined ? [] : [page]));
  const reachable = [...pages].filter(([, page]) => page.isFollowUp !== true).map(([name]) => name);
  expect([...new Set(linked)].sort()).toEqual(reachable.sort());
});

test("every page posts to a public route", async () => {
  const routes = await readFile(new URL("../golden/routes.txt", import.meta.url), "utf8");
  for (const [name, { action }] of pages)
    expect(routes, name).toContain(`\nPOST ${action} muster.identity.v1.`);
});
