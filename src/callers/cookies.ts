/** The part of a `Cookie` header that carries the named cookies, as they came; `null`: the whole of it. */
export function namedCookies(header: string, names: readonly string[] | null): string {
  if (names === null) return header.trim()
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => {
      const end = pair.indexOf('=')
      // Names are case-sensitive; a pair without a name is a value (RFC 6265bis, section 5.7).
      return end > 0 && names.includes(pair.slice(0, end).trimEnd())
    })
    .join('; ')
}
