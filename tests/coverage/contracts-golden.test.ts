// Compares every descriptor of the muster packages with the reviewed text.
import { readdirSync } from "node:fs";
import { golden } from "@muster/testkit";
import { expect, test } from "vitest";
import { allFiles } from "./all-services.ts";
import { describeContracts } from "./describe-contracts.ts";

const texts = describeContracts(await allFiles());

test.each([...texts])("package %s", async (name, text) => {
  await golden(`descriptors/${name}.txt`, text);
});

test("every reviewed text belongs to a package", () => {
  const folder = new URL("../golden/descriptors/", import.meta.url);
  expect(readdirSync(folder).sort()).toEqual([...texts.keys()].map((name) => `${name}.txt`).sort());
});
