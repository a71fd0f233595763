// Builds the descriptors of the test protos with buf, so that nothing generated can go stale.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createFileRegistry, type DescMessage, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const modules = ["proto", "third_party/proto", "packages/transcoder/testdata"];
const config = JSON.stringify({ version: "v2", modules: modules.map((path) => ({ path })) });

const image = execFileSync(
  `${root}/node_modules/.bin/buf`,
  ["build", "packages/transcoder/testdata", "--config", config, "-o", "-#format=binpb"],
  { cwd: root, maxBuffer: 16 * 1024 * 1024 },
);

export const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));

export function message(name: string): DescMessage {
  const desc = registry.getMessage(`transcoder.test.v1.${name}`);
  if (desc === undefined) throw new Error(`no message ${name} in testdata`);
  return desc;
}

export function service(name: string): DescService {
  const desc = registry.getService(`transcoder.test.v1.${name}`);
  if (desc === undefined) throw new Error(`no service ${name} in testdata`);
  return desc;
}
