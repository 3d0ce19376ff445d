// Unit tests: pure parts run in plain Node, a file that needs a page asks for happy-dom in its first line.
import { defineConfig } from "vitest/config";

// A busy machine is no failure.
export default defineConfig({ test: { include: ["*/tests/**/*.test.ts"], testTimeout: 60_000 } });
