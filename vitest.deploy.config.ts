import { defineConfig } from 'vitest/config'

/** What needs tools that not every machine has: `npm run check:deploy`, and `.ci/run` after the tests. */
export default defineConfig({
  test: {
    include: ['test/deploy/live/**/*.live.ts'],
    pool: 'forks',
    // The alerts mostly wait, and the others find room beside them.
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
})
