import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The last one ends first: it looks into the Redis that the first one stops.
    globalSetup: ['./test/support/redis.ts', './test/support/evidence-setup.ts'],
    pool: 'forks',
    // Most of them wait, most of the time: even on two cores two at once take half as long.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 15_000,
    // Browsers, clusters and fleets in real time: a machine that others use may lose them seconds. What is broken
    // fails every time.
    retry: process.env.CI ? 2 : 0,
    hookTimeout: 60_000,
    // The audit goes to standard output; a test that fails shows its own log.
    silent: 'passed-only',
  },
})
