import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a server: the real one, or the mock of `dev/`. */
const server = process.env.VARDE_URL ?? "http://127.0.0.1:8099";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Content-Security-Policy `default-src 'self'`: nothing may become a data: address.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: { "/api": { target: server, ws: true, secure: false } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
