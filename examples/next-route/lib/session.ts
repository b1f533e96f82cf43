import { createHmac, timingSafeEqual } from 'node:crypto'
import { cookies } from 'next/headers'

const NAME = 'session'
const KEY = process.env.SESSION_KEY ?? process.env.BROKER_KEY ?? ''

const seal = (value: string) => createHmac('sha256', KEY).update(value).digest('base64url')

/** The customer of whoever is signed in. */
export async function signedInCustomer(): Promise<string | undefined> {
  const [customerId = '', proof = ''] = (await cookies()).get(NAME)?.value.split('|') ?? []
  const wanted = Buffer.from(seal(customerId))
  const given = Buffer.from(proof)
  return wanted.length === given.length && timingSafeEqual(wanted, given) ? customerId : undefined
}

export async function signIn(customerId: string): Promise<void> {
  const jar = await cookies()
  jar.set(NAME, `${customerId}|${seal(customerId)}`, { httpOnly: true, sameSite: 'lax' })
}
