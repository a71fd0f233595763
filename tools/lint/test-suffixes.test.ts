import { join } from "node:path";
import { expect, test } from "vitest";
import { readSourceFiles } from "./source-files.ts";
import { checkTestSuffixes } from "./test-suffixes.ts";

const root = join(import.meta.dirname, "../..");

function pathsFound(files: Readonly<Record<string, string>>): string[] {
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  return checkTestSuffixes(sources).map(({ path }) => path);
}

test("a test that opens a database needs the suffix, also through a helper", () => {
  const helper = 'import { FakeClock, openTestDatabase } from "@muster/testkit";\n';
  const found = pathsFound({
    "services/x/tests/direct.test.ts": 'import {\n  ENGINES,\n  golden,\n} from "@muster/testkit";\n',
    "services/x/tests/by-helper.test.ts": 'import { open } from "./helper.ts";\n',
    "services/x/tests/by-two-helpers.test.ts": 'import { open } from "./outer.ts";\n',
    "services/x/tests/by-harness.test.ts": 'import { startModule } from "@muster/testkit/module";\n',
    "packages/testkit/src/x.test.ts": 'import { startServers } from "./servers/servers.ts";\n',
    "services/x/src/y.test.ts": 'import { open } from "../tests/helper.ts";\n',
    "services/x/tests/helper.ts": helper,
    "services/x/tests/outer.ts": 'import { open } from "./helper.ts";\nimport { other } from "./outer.ts";\n',
  });
  expect(found.sort()).toEqual([
    "packages/testkit/src/x.test.ts",
    "services/x/src/y.test.ts",
    "services/x/tests/by-harness.test.ts",
    "services/x/tests/by-helper.test.ts",
    "services/x/tests/by-two-helpers.test.ts",
    "services/x/tests/direct.test.ts",
  ]);
});

test("tests with the suffix, and tests without a server, pass", () => {
  const found = pathsFound({
    "services/x/tests/a.service.test.ts": 'import { ENGINES } from "@muster/testkit";\n',
    "services/x/tests/b.contract.test.ts": 'import { openTestDatabase } from "@muster/testkit";\n',
    "services/x/tests/c.property.service.test.ts": 'import { ENGINES } from "@muster/testkit";\n',
    "services/x/src/d.test.ts": 'import { FakeClock, waitFor } from "@muster/testkit";\n',
    "services/x/src/e.test.ts": 'import { type ENGINES, golden } from "@muster/testkit";\n',
    "services/x/src/f.test.ts": 'import type { House } from "../tests/house.ts";\n',
    "services/x/tests/house.ts": 'import { openTestDatabase } from "@muster/testkit";\n',
  });
  expect(found).toEqual([]);
});

test("the repository's tests have the right suffixes", () => {
  const files = readSourceFiles(root, (path) => path.endsWith(".ts"));
  expect(checkTestSuffixes(files)).toEqual([]);
});
