// Finds secrets in the files of the repository: the known formats of secretlint, API keys and secrets of Muster.
import { lintSource } from "@secretlint/core";
import { creator as recommended } from "@secretlint/secretlint-rule-preset-recommend";
import type { SecretLintRuleCreator } from "@secretlint/types";
import type { Finding, SourceFile } from "./source-files.ts";

/** An API key, or a value of MUSTER_SECRET or of another variable whose name ends in _SECRET. */
const MUSTER_SECRETS =
  /\bmk_[\w-]{32,}|\b[A-Z_]+_SECRET\b["']?\s*[=:]\s*(?:\$\{\w+:-)?["']?([\w+/-]{32,}={0,2})/g;

/** The decoded start of example values: a value for a private machine, and a placeholder. */
const EXAMPLE_SECRET = /^(only for a machine|replace me)/;

/** Files that hold a key on purpose. */
const EXEMPT = new Set(["packages/rpc/tests/testdata/test-only-key.pem"]);

const musterSecrets: SecretLintRuleCreator = {
  messages: { found: { en: () => "a secret of Muster" } },
  meta: {
    id: "muster-secrets",
    recommended: true,
    type: "scanner",
    supportedContentTypes: ["text"],
    docs: { url: "" },
  },
  create(context) {
    const t = context.createTranslator({ found: { en: () => "a secret of Muster" } });
    return {
      file({ content }) {
        for (const match of content.matchAll(MUSTER_SECRETS)) {
          if (EXAMPLE_SECRET.test(Buffer.from(match[1] ?? "", "base64").toString())) continue;
          context.report({ message: t("found"), range: [match.index, match.index + match[0].length] });
        }
      },
    };
  },
};

const config = {
  rules: [
    { id: "@secretlint/secretlint-rule-preset-recommend", rule: recommended },
    { id: "muster-secrets", rule: musterSecrets },
  ],
};

/** Findings name the place and the kind of a secret, never its value. */
export async function checkSecrets({ path, text }: SourceFile): Promise<Finding[]> {
  if (EXEMPT.has(path)) return [];
  const source = { filePath: path, content: text, ext: "", contentType: "text" } as const;
  const { messages } = await lintSource({
    source,
    options: { config, noPhysicFilePath: true, maskSecrets: true },
  });
  return messages.map(({ loc, ruleId }) => ({
    path,
    line: loc.start.line,
    message: `holds a secret (${ruleId}); remove it from the file and revoke it`,
  }));
}
