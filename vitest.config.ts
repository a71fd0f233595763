import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    include: ["{packages,services,apps,tests,tools}/**/*.test.ts"],
    globalSetup: ["packages/testkit/src/servers/global-setup.ts"],
    // One for each core. The default leaves a core out, and most files wait for servers half of their time.
    maxWorkers: "100%",
    // Ends only what hangs. A machine that runs other work may take ten times as long as usual.
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
