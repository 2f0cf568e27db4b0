import { defineConfig } from "vitest/config";

/**
 * End to end against a running server, in real Chromium: `VARDE_URL`, `VARDE_USER`, `VARDE_PASSWORD`; and for
 * the preview `VARDE_CAMERA_URL` (else the address of the first camera). `VARDE_CHROMIUM` names the browser.
 */
export default defineConfig({
  test: {
    include: ["e2e/**/*.spec.ts"],
    environment: "node",
    testTimeout: 180_000,
    hookTimeout: 180_000,
    fileParallelism: false,
    sequence: { concurrent: false },
  },
});
