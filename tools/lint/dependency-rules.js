// Declares the import rules for dependency-cruiser. The parser must be swc: dependency-cruiser can't load
// TypeScript 7, and without a parser the check passes without reading a file. import-rules.test.ts plants a
// violation of each rule.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const TESTS = "(\\.test\\.ts$|/tests?/|/testing/|/testdata/|^packages/testkit/|^tools/|^tests/)";

/** Files that declare themselves pure in their opening comment, or live in an engine folder. */
function pureFiles(root) {
  const found = [];
  for (const service of readdirSync(join(root, "services"))) {
    const source = join(root, "services", service, "src");
    for (const entry of listFiles(source)) {
      const isTest = entry.endsWith(".test.ts");
      if (isTest || !entry.endsWith(".ts")) continue;
      const path = `services/${service}/src/${entry}`;
      const opening = readFileSync(join(root, path), "utf8")
        .split("\n", 5)
        .filter((line) => line.startsWith("//"));
      if (entry.startsWith("engine/") || /\bPure\b/.test(opening.join(" "))) found.push(path);
    }
  }
  return found;
}

function listFiles(folder) {
  try {
    return readdirSync(folder, { recursive: true });
  } catch {
    return []; // A service without sources yet.
  }
}

const pure = pureFiles(process.cwd()).map((path) => path.replaceAll(".", "\\."));
const purePattern = pure.length > 0 ? `^(${pure.join("|")})$` : "^there-is-no-pure-file$";

// biome-ignore lint/style/noDefaultExport: dependency-cruiser reads its configuration from the default export.
export default {
  forbidden: [
    {
      name: "no-cycles",
      comment: "A cycle of files has no order in which it can be read. Type imports count.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "resolvable",
      comment: "An import that resolves to nothing would escape every rule below.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "pure-stays-pure",
      comment: "Pure files import core, errors and other pure files; no I/O, no clock, no database.",
      severity: "error",
      from: { path: purePattern },
      to: {
        pathNot: [
          purePattern,
          "^packages/(core|errors)/",
          "^(node:)?crypto$",
          "node_modules/(@bufbuild/cel|otplib|qr)/",
        ],
      },
    },
    {
      name: "core-and-errors-at-the-bottom",
      comment: "core imports no other package; errors imports core and contracts.",
      severity: "error",
      from: { path: "^packages/core/src/", pathNot: TESTS },
      to: { path: "^(packages/(?!core/)|services/|apps/)" },
    },
    {
      name: "errors-near-the-bottom",
      severity: "error",
      from: { path: "^packages/errors/src/", pathNot: TESTS },
      to: { path: "^(packages/(?!core/|errors/|contracts/)|services/|apps/)" },
    },
    {
      name: "packages-below-services",
      comment: "A package knows no service and no app.",
      severity: "error",
      from: { path: "^packages/", pathNot: TESTS },
      to: { path: "^(services|apps)/" },
    },
    {
      name: "services-below-apps",
      severity: "error",
      from: { path: "^services/", pathNot: TESTS },
      to: { path: "^apps/" },
    },
    {
      name: "services-are-strangers",
      comment: "A service reaches another by its contract, never by its code.",
      severity: "error",
      from: { path: "^services/([^/]+)/", pathNot: TESTS },
      to: { path: "^services/", pathNot: "^services/$1/" },
    },
    {
      name: "knex-in-stores-only",
      comment: "SQL lives in *-store.ts, migrations/ and packages/db.",
      severity: "error",
      from: { pathNot: ["^packages/db/", "-store\\.ts$", "/migrations/", TESTS] },
      to: { path: "(^|/)node_modules/knex/" },
    },
    {
      name: "drivers-in-their-adapter-only",
      comment: "A driver has one home: its successor is then a small step.",
      severity: "error",
      from: { pathNot: ["^packages/db/src/", TESTS] },
      to: { path: "(^|/)node_modules/(mysql2|better-sqlite3)/" },
    },
    {
      name: "nats-in-its-adapter-only",
      severity: "error",
      from: { pathNot: ["^packages/bus/src/(jetstream|pull-subscription|publisher)", TESTS] },
      to: { path: "(^|/)node_modules/nats/" },
    },
    {
      name: "grpc-in-rpc-only",
      comment: "Handlers and services know no transport.",
      severity: "error",
      from: { pathNot: ["^packages/rpc/src/", TESTS] },
      to: { path: "(^|/)node_modules/@grpc/" },
    },
    {
      name: "connect-in-rpc-and-gateway-only",
      severity: "error",
      from: { pathNot: ["^packages/rpc/src/", "^services/gateway/src/", TESTS] },
      to: { path: "(^|/)node_modules/@connectrpc/" },
    },
    {
      name: "adapters-chosen-in-one-place",
      comment:
        "Only apps/muster/src/platform/platform-*.ts chooses engines and brokers; see also source-rules.ts.",
      severity: "error",
      from: { pathNot: ["^apps/muster/src/platform/platform-", "^packages/(db|bus)/src/", TESTS] },
      to: { path: "^packages/(db/src/(sqlite|mysql)|bus/src/(embedded|jetstream))" },
    },
    {
      name: "no-test-code-in-production",
      severity: "error",
      from: { pathNot: TESTS },
      to: { path: "(^packages/testkit/|\\.test\\.ts$|/testing/|^tests/|^tools/|/testdata/)" },
    },
    {
      name: "no-development-dependency-in-production",
      severity: "error",
      from: { path: "^(packages|services|apps)/", pathNot: TESTS },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true, // `import type` counts: a leaked type is a leak.
    doNotFollow: { path: "(node_modules|^packages/contracts/src/gen)" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["types", "import", "node", "default"],
    },
  },
};
