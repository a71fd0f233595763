import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    include: ["{packages,services,apps,tests,tools}/**/*.test.ts"],
    globalSetup: ["packages/testkit/src/servers/global-setup.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
