// Remembers which migrations ran, so that `make up` migrates only after a change of the migrations.
import { createHash } from "node:crypto";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "schema.sha256";

/** Digest of every migration file of every service. */
function digestOfMigrations(root: string): string {
  const digest = createHash("sha256");
  const paths = globSync("services/*/migrations/**/*.ts", { cwd: root }).sort();
  for (const path of paths)
    digest
      .update(path)
      .update("\0")
      .update(readFileSync(join(root, path)));
  return digest.digest("hex");
}

export class SchemaMark {
  readonly #path: string;
  readonly #digest: string;

  constructor(root: string, folder: string) {
    this.#path = join(folder, FILE);
    this.#digest = digestOfMigrations(root);
  }

  get isCurrent(): boolean {
    try {
      return readFileSync(this.#path, "utf8").trim() === this.#digest;
    } catch {
      return false;
    }
  }

  set(): void {
    writeFileSync(this.#path, `${this.#digest}\n`);
  }

  clear(): void {
    rmSync(this.#path, { force: true });
  }
}
