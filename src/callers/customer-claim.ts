import { z } from 'zod'

const CustomerId = z.string().min(1).max(128)
const Branch = z.record(z.string(), z.unknown())

/** Customer ids as somebody else's document names them: what is not a well-formed id names nobody. */
export const namedCustomers = (value: unknown): ReadonlySet<string> =>
  new Set(
    (Array.isArray(value) ? value : [value]).flatMap((item: unknown) => {
      const id = CustomerId.safeParse(item)
      return id.success ? [id.data] : []
    }),
  )

/**
 * The customers that a token's claims name. A claim of exactly this name comes before a path with dots in it;
 * names with `://` are never paths. Only what the issuer wrote counts, never what every object inherits.
 */
export function claimedCustomers(
  claims: Readonly<Record<string, unknown>>,
  name: string,
): ReadonlySet<string> {
  if (Object.hasOwn(claims, name)) return namedCustomers(claims[name])
  if (name.includes('://')) return new Set()
  let value: unknown = claims
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return new Set()
    if (!Object.hasOwn(value, step)) return new Set()
    value = Branch.parse(value)[step]
  }
  return namedCustomers(value)
}
