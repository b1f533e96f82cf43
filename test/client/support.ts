import { onTestFinished } from 'vitest'
import { createTokenClient, type TokenClientOptions, TokenError } from '../../src/client/client.js'

/** A client for `customer-1` that ends with the test. */
export function createClient(options: Partial<TokenClientOptions> & { url: string }) {
  const client = createTokenClient({ customerId: 'customer-1', credential: 'key', ...options })
  onTestFinished(() => client.close())
  return client
}

export async function failureOf(promise: Promise<unknown>): Promise<TokenError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof TokenError) return error
  throw new Error('There was no TokenError', { cause: error })
}
