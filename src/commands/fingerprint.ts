import { text } from 'node:stream/consumers'
import { runFingerprint } from './fingerprint-run.ts'

/**
 * `npm run -s fingerprint < token`: under which `token_fingerprint` the audit has this token. The environment
 * must have the broker's `CACHE_ENCRYPTION_KEYS` or, where it has none, its org credential.
 */
const { status, out, problems } = runFingerprint(process.env, await text(process.stdin))
for (const problem of problems) process.stderr.write(`${problem}\n`)
if (out !== '') process.stdout.write(`${out}\n`)
process.exitCode = status
