import { defineConfig } from 'vitest/config'

/** The tests of the rooms that decide, for `npm run test:mutation`: those that take no time, since they are run a thousand times. */
export default defineConfig({
  test: {
    include: [
      'test/callers/policy*.test.ts',
      'test/callers/permit.test.ts',
      'test/tokens/{token,cache-key,seal,kept-shapes,flight,request}.test.ts',
      'test/tokens/memory-only.test.ts',
      'test/http/problem-documents.test.ts',
    ],
    globalSetup: ['./test/support/redis.ts', './test/support/evidence-setup.ts'],
    silent: true,
  },
})
