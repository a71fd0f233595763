// Plants an overfull folder and expects a finding.
import { expect, test } from "vitest";
import { checkFolderSizes, FOLDER_FILES_MAX } from "./folder-sizes.ts";

const files = (folder: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${folder}/file-${index}.ts`);

test("a folder with one file too many is found, one at the limit passes", () => {
  const paths = [
    ...files("services/events/src/full", FOLDER_FILES_MAX),
    ...files("services/events/src/overfull", FOLDER_FILES_MAX + 1),
  ];
  expect(checkFolderSizes(paths)).toEqual([
    {
      path: "services/events/src/overfull",
      line: 0,
      message: "16 source files; at most 15: split the folder by meaning",
    },
  ]);
});

test("tests, migrations, generated code and files of other kinds do not count", () => {
  const room = files("services/events/src/room", FOLDER_FILES_MAX);
  const others = ["services/events/src/room/a.test.ts", "services/events/src/room/README.md"];
  const elsewhere = [
    ...files("tests/e2e", FOLDER_FILES_MAX + 1),
    ...files("packages/contracts/src/gen/muster/events/v1", FOLDER_FILES_MAX + 1),
  ];
  elsewhere.push(...elsewhere.slice(1).map((_, index) => `services/x/migrations/${1000 + index}_step.ts`));
  expect(checkFolderSizes([...room, ...others, ...elsewhere])).toEqual([]);
});
