// Compares the tables that the erasure of an organization sweeps with the schema.
import { columnsOf, openTestDatabase } from "@muster/testkit";
import { expect, test } from "vitest";
import { segmentsModule } from "../src/module.ts";
import { organizationContent } from "../src/organization-erasure/organization-content.ts";

/** The organization itself, which is emptied, and the record that it has ended. */
const KEPT = ["organizations", "closed_organizations"];

test("every table with a column of organizations is erased", async () => {
  const stored = await openTestDatabase("sqlite", segmentsModule.migrations);
  try {
    const erased = organizationContent.tables.map(({ table }) => table);
    const found: string[] = [];
    for (const [table, columns] of await columnsOf(stored.database)) {
      if (columns.includes("organization_id") && !KEPT.includes(table)) found.push(table);
    }
    expect(erased.toSorted()).toEqual(found.sort());
  } finally {
    await stored.close();
  }
});
