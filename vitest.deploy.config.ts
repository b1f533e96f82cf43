import { defineConfig } from 'vitest/config'

/** What needs tools that not every machine has: `npm run check:deploy`, and `.ci/run` after the tests. */
export default defineConfig({
  test: {
    include: ['test/deploy/live/**/*.live.ts'],
    pool: 'forks',
    // Each starts a fleet of its own, and measures time.
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
})
