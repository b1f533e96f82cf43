import { fine, type Kit, problem, type Verdict } from './doctor-kit.ts'
import { CallFailure } from './http-calls.ts'
import { SETTINGS_OF } from './org-token-hints.ts'
import type { UpstreamSettings } from './settings.ts'

type Words = readonly [pattern: RegExp, says: string, settings: string]

const URL_SETTING = '(url)'
const CHECK_URL = `${URL_SETTING}, or the network of this machine`

/** What a connection fails with, in an operator’s words. */
const DIRECTLY: readonly Words[] = [
  [
    /^(ENOTFOUND|EAI_\w+)$/,
    'its name cannot be resolved',
    `${URL_SETTING}, or the DNS of this machine`,
  ],
  [/^ECONNREFUSED$/, 'nothing listens there', URL_SETTING],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_UNTRUSTED)$/,
    'its TLS certificate is from an authority that is not known here',
    'NODE_EXTRA_CA_CERTS',
  ],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, 'its TLS certificate is not valid now', CHECK_URL],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'its TLS certificate is for another name', URL_SETTING],
  [/^(ERR_SSL_\w+|EPROTO)$/, 'it does not speak TLS there: http instead of https?', URL_SETTING],
  [
    /^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|E(HOST|NET)UNREACH)$/,
    'it cannot be reached',
    `${CHECK_URL}, or HTTPS_PROXY`,
  ],
  [/^DEADLINE$/, 'it does not answer in time', `UPSTREAM_TIMEOUT, or ${URL_SETTING}`],
]

const BY_PROXY: readonly Words[] = [
  [/^(ENOTFOUND|EAI_\w+)$/, 'the name of the proxy cannot be resolved', 'HTTPS_PROXY'],
  [/^ECONNREFUSED$/, 'nothing listens at the address of the proxy', 'HTTPS_PROXY'],
  [
    /^(UND_ERR_ABORTED|UND_ERR_PRX\w*|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|ECONNRESET)$/,
    'the proxy does not let it through',
    'HTTPS_PROXY or NO_PROXY',
  ],
]

/** What is wrong with the way to a host; `urlSetting` is where its address is from. */
export function networkProblem(
  check: string,
  failure: CallFailure,
  url: string,
  urlSetting: string,
  settings: UpstreamSettings,
): Verdict {
  const { host } = new URL(url)
  const table = goesByProxy(url, settings) ? [...BY_PROXY, ...DIRECTLY] : DIRECTLY
  const [, says, whose] = table.find(([pattern]) => pattern.test(failure.code)) ?? [
    /$/,
    `the connection breaks (${failure.code})`,
    CHECK_URL,
  ]
  return problem(check, `${host}: ${says}`, whose.replace(URL_SETTING, urlSetting))
}

function goesByProxy(url: string, { proxyUrl, noProxy }: UpstreamSettings): boolean {
  const { protocol, hostname } = new URL(url)
  if (proxyUrl === null || protocol !== 'https:') return false
  const exempt = (noProxy ?? '').split(/[\s,]+/).filter((entry) => entry !== '')
  return !exempt.some((entry) => {
    const name = entry.replace(/^\*?\./, '').replace(/:\d+$/, '')
    return entry === '*' || hostname === name || hostname.endsWith(`.${name}`)
  })
}

/** Whether each of the hosts that are needed answers at all, whatever it answers. */
export async function* checkReach(kit: Kit): AsyncGenerator<Verdict> {
  const { apiUrl, orgToken } = kit.settings
  const needed = new Map([[new URL(apiUrl).origin, 'AIRBYTE_API_URL']])
  if (orgToken.source !== 'static') {
    for (const url of orgToken.tokenUrls) {
      const { origin } = new URL(url)
      if (!needed.has(origin)) needed.set(origin, SETTINGS_OF[orgToken.source].place)
    }
  }
  for (const [origin, setting] of needed) {
    const reply = await kit.call({ method: 'GET', url: `${origin}/`, headers: {} })
    yield reply instanceof CallFailure && reply.kind !== 'too_large'
      ? networkProblem('network', reply, origin, setting, kit.settings)
      : fine('network', `${new URL(origin).host} answers`)
  }
}
