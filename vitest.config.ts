import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const redisSetup = './test/support/redis.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: [
      './test/support/evidence-setup.ts',
      ...(existsSync(redisSetup) ? [redisSetup] : []),
    ],
    pool: 'forks',
    testTimeout: 15_000,
    hookTimeout: 60_000,
    // The audit goes to standard output; a test that fails shows its own log.
    silent: 'passed-only',
  },
})
