import { spawnSync } from 'node:child_process'

/** `npm run test:soak -- <minutes>`: the soak for so long, and a hundred thousand inputs of the fuzzer. */
const minutes = Number(process.argv[2] ?? 5)
if (!(minutes > 0)) {
  console.error('usage: npm run test:soak -- <minutes>')
  process.exit(2)
}
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.soak.config.ts'],
  {
    stdio: 'inherit',
    env: { FUZZ_INPUTS: '100000', ...process.env, SOAK_MINUTES: String(minutes) },
  },
)
process.exit(status ?? 1)
