// Reports the results of a benchmark: a line for each result, a table at the end, and a JSON file in
// bench-results/.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

export type Row = Readonly<Record<string, string | number>>;

const FOLDER = new URL("../../bench-results/", import.meta.url);

export class Results {
  readonly #rows: Row[] = [];
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  record(row: Row): void {
    this.#rows.push(row);
    const cells = Object.entries(row).map(([name, value]) => `${name} ${value}`);
    process.stdout.write(`${cells.join("   ")}\n`);
  }

  async report(settings: Readonly<Record<string, unknown>>): Promise<void> {
    await mkdir(FOLDER, { recursive: true });
    const file = new URL(`${this.#name}-${new Date().toISOString().replaceAll(":", "")}.json`, FOLDER);
    const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? "", node: process.version };
    await writeFile(file, `${JSON.stringify({ machine, ...settings, results: this.#rows }, null, 2)}\n`);
    process.stdout.write(`\n${this.#table()}\nwritten to ${fileURLToPath(file)}\n`);
  }

  #table(): string {
    const lines = this.#rows.map(({ part, ...figures }) => {
      const cells = Object.entries(figures).map(([name, value]) => `${name}: ${value}`);
      return `${String(part).padEnd(46)} ${cells.join("  ")}`;
    });
    return lines.join("\n");
  }
}
