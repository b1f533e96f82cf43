import { defineConfig } from 'vitest/config'

/** What takes minutes: `npm run test:soak -- <minutes>`. */
export default defineConfig({
  test: {
    include: ['test/soak/*.soak.ts', 'test/fuzz/fuzz.test.ts'],
    // The last one ends first: it looks into the Redis that the first one stops.
    globalSetup: ['./test/support/redis.ts', './test/support/evidence-setup.ts'],
    pool: 'forks',
    // Each measures, or takes all there is.
    fileParallelism: false,
    hookTimeout: 60_000,
  },
})
