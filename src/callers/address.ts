import ipaddr from 'ipaddr.js'

/**
 * What an address is counted under: IPv4 as it is, also when it comes mapped into IPv6; IPv6 by its /64,
 * because whoever has one such address has them all.
 */
export function addressKey(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown'
  const address = ipaddr.process(ip)
  if (address instanceof ipaddr.IPv4) return address.toString()
  const network = address.parts.slice(0, 4).map((part) => part.toString(16))
  return `${network.join(':')}::/64`
}
