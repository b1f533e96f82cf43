import { createFingerprint } from '../callers/fingerprint.ts'
import { type LoadedConfig, loadConfig } from '../config.ts'

type Env = Readonly<Record<string, string | undefined>>

const ORG_CREDENTIAL =
  /^(AIRBYTE|BEYOND_IDENTITY|OAUTH2)_|^(ORG_TOKEN_SOURCE|ALLOW_INSECURE_UPSTREAM)$/

/**
 * The environment that the key of the audit's fingerprints hangs on: `CACHE_ENCRYPTION_KEYS` where the broker
 * has them, else its org credential. The rest of its settings need not be at hand to search the audit.
 */
function relevant(env: Env): Env {
  const auth = { AUTH: 'none' }
  const { CACHE_ENCRYPTION_KEYS, CACHE_ENCRYPTION_KEYS_FILE } = env
  if (CACHE_ENCRYPTION_KEYS || CACHE_ENCRYPTION_KEYS_FILE)
    return {
      ...auth,
      CACHE_ENCRYPTION_KEYS,
      CACHE_ENCRYPTION_KEYS_FILE,
      AIRBYTE_ACCESS_TOKEN: 'unused',
    }
  const credential = Object.entries(env).filter(([name]) => ORG_CREDENTIAL.test(name))
  return { ...auth, ...Object.fromEntries(credential) }
}

export type Told = {
  readonly status: number
  readonly out: string
  readonly problems: readonly string[]
}

/** The fingerprint under which the audit has the token, for `npm run fingerprint`. */
export function runFingerprint(env: Env, input: string): Told {
  const token = input.trim()
  if (token === '' || /\s/.test(token))
    return failed(2, ['usage: npm run -s fingerprint < file-with-one-token'])
  const loaded: LoadedConfig = loadConfig(relevant(env))
  if (!loaded.ok) return failed(78, loaded.problems)
  return {
    status: 0,
    out: createFingerprint(loaded.config.audit.fingerprintKey)(token),
    problems: [],
  }
}

const failed = (status: number, problems: readonly string[]): Told => ({
  status,
  out: '',
  problems,
})
