// Plants stale generated code, a moved proto baseline and dead links, and expects each to be found.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProcess } from "../run-process.ts";
import { checkDocument } from "./documents.ts";
import { checkGeneratedCode } from "./generated-code.ts";
import { BASELINE, checkDecision, checkProtoBaseline } from "./proto-baseline.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const GENERATED = "packages/contracts/src/gen";
const SERVICE = "proto/muster/segments/v1/segment_service.proto";
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-lint-"));
  mkdirSync(join(folder, "tools"));
  for (const path of ["proto", "third_party", "buf.yaml", "buf.gen.yaml", GENERATED, BASELINE, "docs"]) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe("generated code", () => {
  test("an edited, a missing and a superfluous file are found", async () => {
    const before = await checkGeneratedCode(folder);
    writeFileSync(join(folder, GENERATED, "muster/bus/v1/envelope_pb.ts"), "// edited\n");
    rmSync(join(folder, GENERATED, "muster/errors/v1/reason_pb.ts"));
    writeFileSync(join(folder, GENERATED, "stray_pb.ts"), "// stray\n");
    const found = (await checkGeneratedCode(folder)).filter(
      ({ path }) => !before.some((earlier) => earlier.path === path),
    );
    expect(found.map(({ path, message }) => `${path.slice(GENERATED.length + 1)} ${message}`)).toEqual([
      "muster/bus/v1/envelope_pb.ts is not what the protos give: run make gen",
      "muster/errors/v1/reason_pb.ts is not what the protos give: run make gen",
      "stray_pb.ts no proto gives this file: run make gen",
    ]);
  });
});

describe("protos", () => {
  const buf = (...parameters: string[]): Promise<{ code: number; output: string }> =>
    runProcess(join(ROOT, "node_modules/.bin/buf"), parameters, { cwd: folder });

  test("a field that changes its type and a service that goes break the baseline", async () => {
    const path = "proto/muster/segments/v1/segment.proto";
    const segment = readFileSync(join(folder, path), "utf8");
    const found = async (): Promise<string> =>
      (await checkProtoBaseline(folder)).map(({ message }) => message).join();
    writeFileSync(join(folder, path), segment.replace("string name =", "int64 name ="));
    expect(await found()).toContain('changed type from "string" to "int64"');
    writeFileSync(join(folder, path), segment);
    writeFileSync(join(folder, SERVICE), 'syntax = "proto3";\n\npackage muster.segments.v1;\n');
    expect(await found()).toContain('Previously present service "SegmentService" was deleted');
  });

  test("bad style and bad format are found", async () => {
    const text = 'syntax = "proto3";\n\npackage muster.segments.v1;\n\nmessage bad_name {\n string A=1; }\n';
    writeFileSync(join(folder, SERVICE), text);
    expect((await buf("lint")).output).toContain("bad_name");
    expect((await buf("format", "--diff", "--exit-code", "proto")).code).not.toBe(0);
  });

  test("a baseline that no decision names is found", () => {
    expect(checkDecision(folder)).toEqual([]);
    writeFileSync(join(folder, BASELINE), "another image");
    expect(checkDecision(folder)).toMatchObject([{ path: BASELINE }]);
  });
});

test("documents: a dead link, a missing heading and a path that is gone are found", () => {
  const text = [
    "# A page",
    "[good](../tools/up.ts) [also](#a-page) [away](https://example.test/) `packages/core/src/clock.ts`",
    "[dead](nowhere.md)",
    "[lost](#no-such-heading)",
    "`packages/core/src/gone.ts`",
    "```",
    "[in a fence](nowhere.md)",
    "```",
  ].join("\n");
  const found = checkDocument(ROOT, { path: "docs/page.md", text: text.replace("tools/up.ts", "Makefile") });
  expect(found.map(({ line }) => line)).toEqual([3, 4, 5]);
});
