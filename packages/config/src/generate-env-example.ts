// Writes `.env.example` at the repository's root. Run by `make gen`.
import { writeFileSync } from "node:fs";
import { envExample } from "./describe-config.ts";

writeFileSync(new URL("../../../.env.example", import.meta.url), envExample());
