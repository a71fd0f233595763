// Checks the personal-data class of every field. Erasure, export and logs rely on these classes.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  createFileRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { ProfileId } from "@muster/core";
import { eraseSubjects } from "@muster/privacy";
import { afterAll, describe, expect, test } from "vitest";
import { allFiles } from "./all-services.ts";
import {
  messagesOf,
  mislabeledFields,
  openFields,
  ownerlessMessages,
  unlabeledFields,
} from "./label-rules.ts";

import { MARKER, markedMessage, PLAIN_ORGANIZATION } from "./marked-message.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const files = await allFiles();

describe("of our protos", () => {
  test("there are fields", () => {
    expect(messagesOf(files).length).toBeGreaterThan(100);
  });

  test("every text and bytes field has a label; add (muster.options.v1.field).personal to these", () => {
    expect(unlabeledFields(files)).toEqual([]);
  });

  test("a field is labeled as its name promises", () => {
    expect(mislabeledFields(files)).toEqual([]);
  });

  test("no JSON object from outside is classified as not personal", () => {
    expect(openFields(files)).toEqual([]);
  });

  test("a domain event with personal data has a subject", () => {
    expect(ownerlessMessages(files)).toEqual([]);
  });
});

describe("an erasure by labels alone", () => {
  const ada = "01900000-0000-7000-8000-0000000000a1" as ProfileId;
  const subjects = { organizationId: PLAIN_ORGANIZATION, profileIds: new Set([ada]) };
  const announced = messagesOf(files.filter(({ name }) => name.endsWith("_events")));
  const personalEvents = announced.filter((schema) => encoded(schema).includes(MARKER));

  function encoded(schema: DescMessage): Buffer {
    return Buffer.from(toBinary(schema, markedMessage(schema, ada)));
  }

  test.each(personalEvents.map((schema) => [schema.typeName, schema] as const))(
    "leaves nothing of %s",
    (_, schema) => {
      const left = eraseSubjects(schema, encoded(schema), subjects);
      expect(left).toBeDefined();
      expect(Buffer.from(left ?? []).includes(MARKER)).toBe(false);
      expect(eraseSubjects(schema, left ?? new Uint8Array(), subjects)).toBeUndefined();
      const others = { ...subjects, profileIds: new Set([PLAIN_ORGANIZATION as string as ProfileId]) };
      expect(eraseSubjects(schema, encoded(schema), others)).toBeUndefined();
    },
  );

  test("there are messages", () => {
    expect(personalEvents.length).toBeGreaterThan(3);
  });
});

describe("a violation that is planted", () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-labels-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  const planted = build(`
    message Outer {
      string silent = 1;
      repeated bytes silent_list = 2;
      map<string, int32> silent_map = 3;
      google.protobuf.Struct silent_any = 4;
      int32 number = 5;
      google.protobuf.Timestamp time = 6;
      string quiet = 7 [(muster.options.v1.field).personal = PERSONAL_DATA_NONE];
      message Inner {
        oneof choice {
          string silent_choice = 1;
        }
        int64 user_id = 2;
        string profile_id = 3 [(muster.options.v1.field).personal = PERSONAL_DATA_NONE];
        string secret = 4 [(muster.options.v1.field).personal = PERSONAL_DATA_CONTENT];
        string settings = 5 [
          (muster.options.v1.field).raw_json = true,
          (muster.options.v1.field).personal = PERSONAL_DATA_NONE
        ];
      }
    }
    message Told {
      string note = 1 [(muster.options.v1.field).personal = PERSONAL_DATA_CONTENT];
    }
    message ToldOfSomebody {
      string note = 1 [(muster.options.v1.field).personal = PERSONAL_DATA_CONTENT];
      bytes profile_id = 2 [(muster.options.v1.field).personal = PERSONAL_DATA_SUBJECT];
    }`);

  test("without a label is named, wherever it stands", () => {
    expect(unlabeledFields(planted)).toEqual([
      "planted.v1.Outer.silent",
      "planted.v1.Outer.silent_list",
      "planted.v1.Outer.silent_map",
      "planted.v1.Outer.silent_any",
      "planted.v1.Outer.Inner.silent_choice",
    ]);
  });

  test("with another label than its name promises is named", () => {
    expect(mislabeledFields(planted)).toEqual([
      "planted.v1.Outer.Inner.user_id is IDENTITY",
      "planted.v1.Outer.Inner.profile_id is SUBJECT",
      "planted.v1.Outer.Inner.secret is SECRET",
    ]);
    expect(openFields(planted)).toEqual(["planted.v1.Outer.Inner.settings"]);
  });

  test("with personal data but without a subject is named", () => {
    expect(ownerlessMessages(planted)).toEqual(["planted.v1.Outer.Inner", "planted.v1.Told"]);
  });

  function build(messages: string): DescFile[] {
    mkdirSync(join(folder, "planted/v1"), { recursive: true });
    const imports = ["google/protobuf/struct", "google/protobuf/timestamp", "muster/options/v1/options"];
    const lines = [
      'syntax = "proto3";',
      "package planted.v1;",
      ...imports.map((path) => `import "${path}.proto";`),
    ];
    writeFileSync(join(folder, "planted/v1/planted_events.proto"), `${lines.join("\n")}${messages}\n`);
    const options = join(ROOT, "proto/muster/options/v1");
    mkdirSync(join(folder, "muster/options"), { recursive: true });
    execFileSync("cp", ["-r", options, join(folder, "muster/options/v1")]);
    const buf = join(ROOT, "node_modules/.bin/buf");
    const image = execFileSync(buf, ["build", folder, "-o", "-#format=binpb"], { cwd: folder });
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
    return [...registry.files].filter(({ proto }) => proto.package === "planted.v1");
  }
});
