import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { golden } from "./golden.ts";

const folder = mkdtempSync(join(tmpdir(), "muster-golden-"));
const name = relative(
  fileURLToPath(new URL("../../../tests/golden/", import.meta.url)),
  join(folder, "a/b.txt"),
);

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

test("a golden file must exist and be equal, and is written only on request", async () => {
  vi.stubEnv("MUSTER_GOLDEN_UPDATE", "");
  await expect(golden(name, "one\ntwo\n")).rejects.toThrow(/does not exist.*MUSTER_GOLDEN_UPDATE=1/);
  vi.stubEnv("MUSTER_GOLDEN_UPDATE", "1");
  await golden(name, "one\ntwo\n");
  vi.stubEnv("MUSTER_GOLDEN_UPDATE", "");
  await golden(name, "one\ntwo\n");
  await expect(golden(name, "one\n2\n")).rejects.toThrow("at line 2:\n- two\n+ 2");
  await expect(golden(name, "one\ntwo\nthree\n")).rejects.toThrow("at line 3");
});
