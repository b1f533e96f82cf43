import { createHash } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type CallersSettings, createAuthenticator } from '../../src/callers/authenticator.ts'
import type { Credentials } from '../../src/callers/caller.ts'
import type { JwtSettings } from '../../src/callers/jwt-callers.ts'
import { BrokerError } from '../../src/errors.ts'

export const serviceKey = (name: string, key: string) => ({
  name,
  digest: createHash('sha256').update(key).digest(),
})

export const jwtSettings = (over: Partial<JwtSettings>): JwtSettings => ({
  issuer: null,
  jwksUrl: null,
  secret: null,
  audiences: ['broker'],
  algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
  customerClaim: 'customer_id',
  allowInsecure: false,
  ...over,
})

export const credentials = (over: Partial<Credentials>): Credentials => ({
  authorization: undefined,
  apiKey: undefined,
  cookie: undefined,
  requestedWith: undefined,
  origin: undefined,
  customerId: 'acme',
  ...over,
})

export const bearer = (token: string) => credentials({ authorization: `Bearer ${token}` })

/** An authenticator with a clock that tests set, and the lines it logs. */
export function startAuthenticator(settings: Partial<CallersSettings>) {
  const clock = { ms: Date.now() }
  const logged: string[] = []
  const note = (fields: object, message: string) =>
    void logged.push(
      `${message} ${JSON.stringify(fields, (_key, value: unknown) => (value instanceof Error ? { ...value, message: value.message } : value))}`,
    )
  const all = (over: Partial<CallersSettings>): CallersSettings => ({
    anyone: false,
    serviceKeys: [],
    jwt: null,
    session: null,
    ...over,
  })
  const authenticator = createAuthenticator(all(settings), {
    log: { debug: note, info: note, warn: note, error: note },
    now: () => clock.ms,
  })
  onTestFinished(() => authenticator.close())

  return {
    ...authenticator,
    reload: (next: Partial<CallersSettings>) => authenticator.reload(all(next)),
    clock,
    logged,
    /** The caller, or how it was refused. */
    async outcome(asked: Credentials) {
      try {
        return await authenticator.verify(asked)
      } catch (error) {
        if (error instanceof BrokerError)
          return error.credentialSent ? `${error.code} (sent)` : error.code
        throw error
      }
    },
  }
}
