// Compares the deployment files with the code without a container engine: every process in the files must
// have a configuration that the code accepts.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Config, loadConfig, TARGETS, variables } from "@muster/config";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";

const ROOT = resolve(import.meta.dirname, "../..");
const BASE = join(ROOT, "deploy/k8s/base");
const known = new Set<string>(Object.values(variables).map(({ name }) => name));

type Fields = Readonly<Record<string, unknown>>;

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** The value at a path of keys; undefined where the path ends early. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value;
  for (const key of path) found = (found as Fields | undefined)?.[key];
  return found;
}

/** Loads the configuration as the container's command would. */
function configOf(command: readonly string[], environment: Record<string, string>): Config {
  const target = command.find((part) => part.startsWith("--target="))?.slice("--target=".length);
  const purpose = command[0] === "serve" ? "serve" : "administer";
  return loadConfig({ command: purpose, flags: { target }, environment });
}

/** Values of `${NAME:-default}` when no variable is set. */
function withDefaults(environment: unknown): Record<string, string> {
  const entries = Object.entries((environment ?? {}) as Record<string, string>);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(value).replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1")]),
  );
}

describe("docker-compose.yml", () => {
  const compose = parseYaml(read("docker-compose.yml"), { merge: true }) as Fields;
  const services = at(compose, "services") as Record<string, Fields>;
  const ours = Object.entries(services).filter(([, service]) => service.image === "muster:local");

  test("is valid by the schema of the Compose Specification", () => {
    const schema = JSON.parse(read("third_party/compose-spec/compose-spec.json")) as object;
    const validate = new Ajv2020({ strict: false, allErrors: true, logger: false }).compile(schema);
    const problemsOf = (file: unknown): string[] =>
      validate(file) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
    expect(problemsOf(compose)).toEqual([]);
    // The healthcheck that Docker Compose refused: `0: 1` without quotes is a mapping.
    const broken = parseYaml(
      "services: {gateway: {image: a, healthcheck: {test: [CMD, node, {ok ? 0: 1}]}}}",
    );
    expect(problemsOf(broken)).toContain("/services/gateway/healthcheck/test/2 must be string");
  });

  test("starts the whole topology, each service its own process", () => {
    expect(Object.keys(services).sort()).toEqual(
      ["mailpit", "mariadb", "migrate", "nats", ...TARGETS].sort(),
    );
    for (const target of TARGETS) expect(at(services, target, "command", 1)).toBe(`--target=${target}`);
  });

  test.each(ours)("%s finds a configuration that the code accepts", (name, service) => {
    const config = configOf(service.command as string[], withDefaults(service.environment));
    expect(config.mode).toBe("production");
    if (name !== "migrate") expect(config.targets).toEqual([name]);
  });

  test("what a service waits for exists and can become healthy", () => {
    for (const [name, service] of Object.entries(services)) {
      for (const [other, { condition }] of Object.entries(
        (service.depends_on ?? {}) as Record<string, { condition: string }>,
      )) {
        const awaited = services[other];
        expect(awaited, `${name} waits for ${other}`).toBeDefined();
        if (condition === "service_healthy") expect(at(awaited, "healthcheck", "test")).toBeDefined();
      }
    }
  });
});

describe("deploy/k8s/base", () => {
  const documents = readdirSync(BASE).flatMap((file) =>
    parseAllDocuments(read(`deploy/k8s/base/${file}`)).map((document) => {
      expect(document.errors, file).toEqual([]);
      return document.toJS() as Fields;
    }),
  );
  const ofKind = (kind: string): Fields[] => documents.filter((document) => document.kind === kind);
  const environment = {
    ...(at(ofKind("ConfigMap")[0], "data") as Record<string, string>),
    ...(Object.assign({}, ...ofKind("Secret").map((secret) => secret.stringData)) as Record<string, string>),
  };
  const pods = [...ofKind("Deployment"), ...ofKind("Job")].map((document): [string, Fields] => [
    String(at(document, "metadata", "name")),
    at(document, "spec", "template", "spec") as Fields,
  ]);

  test("the kustomization names every file but itself and the example", () => {
    const files = readdirSync(BASE).filter((file) => !/^(kustomization|secret\.example)\.yaml$/.test(file));
    expect([...(at(ofKind("Kustomization")[0], "resources") as string[])].sort()).toEqual(files.sort());
  });

  test("a Deployment for every target, and the migration", () => {
    expect(pods.map(([name]) => name).sort()).toEqual(
      ["muster-migrate", ...TARGETS.map((target) => `muster-${target}`)].sort(),
    );
  });

  test.each(pods)("%s finds a configuration that the code accepts", (name, pod) => {
    const args = at(pod, "containers", 0, "args") as string[];
    const config = configOf(args, environment);
    expect(config.httpPort).toBe(3000);
    if (args[0] === "serve") expect(`muster-${config.targets.join()}`).toBe(name);
  });

  test.each(pods)("%s runs as nobody in particular and writes nowhere", (_, pod) => {
    expect(at(pod, "securityContext", "runAsNonRoot")).toBe(true);
    expect(at(pod, "enableServiceLinks")).toBe(false);
    expect(at(pod, "containers", 0, "securityContext")).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(at(pod, "containers", 0, "resources", "limits", "memory")).toBeDefined();
  });

  test("probes request what the process serves, and a stop has time to drain", () => {
    for (const [name, pod] of pods.filter(([name]) => name !== "muster-migrate")) {
      expect(at(pod, "containers", 0, "livenessProbe", "httpGet", "path"), name).toBe("/livez");
      expect(at(pod, "containers", 0, "readinessProbe", "httpGet", "path"), name).toBe("/readyz");
      const { drainDelayMs, drainTimeoutMs } = configOf(["serve", "--target=all"], environment);
      expect(Number(at(pod, "terminationGracePeriodSeconds")) * 1000).toBeGreaterThan(
        drainDelayMs + 3 * drainTimeoutMs + 5_000,
      );
    }
  });

  test("the events pods get the event catalog, as config/events.yaml has it", () => {
    const [name, key] = ["muster-event-catalog", "events.yaml"];
    const catalog = ofKind("ConfigMap").find((document) => at(document, "metadata", "name") === name);
    expect(at(catalog, "data", key)).toBe(read("config/events.yaml"));
    const [, pod] = pods.find(([pod]) => pod === "muster-events") ?? [];
    const container = at(pod, "containers", 0) as Fields;
    const mount = (container.volumeMounts as Fields[]).find((one) => one.name === "event-catalog");
    expect(pod?.volumes).toContainEqual({ name: "event-catalog", configMap: { name } });
    expect(container.env).toContainEqual({
      name: "MUSTER_EVENT_CATALOG",
      value: `${mount?.mountPath}/${key}`,
    });
  });

  test("every address leads to a headless service", () => {
    const addresses = Object.entries(environment).filter(([name]) => name.endsWith("_ADDRESS"));
    expect(addresses).toHaveLength(3);
    for (const [, address] of addresses) {
      const [host, port] = address.split(":");
      const service = ofKind("Service").find((document) => at(document, "metadata", "name") === host);
      expect(at(service, "spec", "clusterIP")).toBe("None");
      expect(at(service, "spec", "ports", 0, "port")).toBe(Number(port));
    }
  });
});

test("every MUSTER_ name in a deployment file is a variable of the code", () => {
  const files = [
    "docker-compose.yml",
    "deploy/docker/Dockerfile",
    ".env.example",
    ...readdirSync(BASE).map((file) => `deploy/k8s/base/${file}`),
  ];
  for (const file of files) {
    // A comment may name a variable that must not be set.
    const text = file === ".env.example" ? read(file) : read(file).replaceAll(/^\s*#.*$/gm, "");
    for (const [name] of text.matchAll(/MUSTER_\w+/g)) expect(known, `${name} in ${file}`).toContain(name);
  }
});

test("the workflows run what people run", () => {
  const workflow = parseYaml(read(".github/workflows/ci.yml")) as Fields;
  const steps = Object.values(at(workflow, "jobs") as Record<string, Fields>).flatMap(
    (job) => job.steps as Fields[],
  );
  expect(steps.filter((step) => step.run === ".ci/run")).toHaveLength(2);
  const makeTargets = new Set([...read("Makefile").matchAll(/^([a-z0-9-]+):/gm)].map(([, name]) => name));
  for (const step of steps) {
    const [, target] = /^make ([a-z0-9-]+)$/.exec(String(step.run ?? "")) ?? [];
    if (target !== undefined) expect(makeTargets).toContain(target);
  }
  expect(read(".ci/run")).toMatch(/^exec make test$/m);
});

test("the lock file names the packages of every platform, as npm ci requires", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(packages).flatMap(([where, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        packages[`${where}/node_modules/${name}`] === undefined &&
        packages[`node_modules/${name}`] === undefined,
    ),
  );
  expect(missing).toEqual([]);
});

test("the image names its user by number, so that Kubernetes can tell that it is not root", () => {
  const users = [...read("deploy/docker/Dockerfile").matchAll(/^USER (.+)$/gm)].map(([, user]) => user);
  expect(users).toEqual([expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/)]);
});

test("the image holds what it copies, and Docker is given it", () => {
  const given = read(".dockerignore").split("\n");
  for (const [, paths] of read("deploy/docker/Dockerfile").matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
    for (const path of (paths ?? "").split(" ")) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(given).toContain(`!${path.replace("./", "")}`);
    }
  }
});
