// @ts-check

const MOST_LINES = 200

/** @type {(status: number) => string} */
const toneOf = (status) => {
  if (status === 0 || status >= 500) return 'bad'
  if (status >= 400) return 'late'
  return 'good'
}

/** @type {(tag: string, className: string, text: string) => HTMLElement} */
const element = (tag, className, text) => {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

/** @type {Record<string, string>} */
const CACHE = {
  hit: 'kept by the broker',
  'fwd=miss; stored': 'newly minted',
  'fwd=miss; collapsed': 'shared with another request',
  'fwd=request; stored': 'newly minted, as asked',
}

/** What the broker says of an answer beyond its status. */
const noteOf = async (/** @type {Response} */ response) => {
  if (!response.ok) {
    const retry = response.headers.get('retry-after')
    const { code, title } = await response
      .clone()
      .json()
      .catch(() => ({}))
    return `${code ?? title ?? ''}${retry ? ` · again in ${retry} s` : ''}`
  }
  const cache = response.headers.get('cache-status')?.replace('token-broker; ', '') ?? ''
  const left = response.headers.get('ratelimit')?.match(/r=(\d+)/)?.[1]
  return [CACHE[cache], left && `${left} left`].filter(Boolean).join(' · ')
}

/**
 * Shows each exchange as it happens.
 * @param {HTMLElement} list
 * @param {import('./api.js').Config} config
 */
export function createExchangeLog(list, config) {
  const names = { [config.brokerUrl]: 'broker', [config.airbyteUrl]: 'airbyte' }

  /** @type {(line: { verb: string, path: string, status: number, ms: number, note: string }) => void} */
  const add = ({ verb, path, status, ms, note }) => {
    const line = document.createElement('li')
    const time = element('time', '', new Date().toLocaleTimeString([], { hour12: false }))
    const what = element('div', 'what', `${path} `)
    what.append(element('span', '', note))
    line.append(
      time,
      element('span', `status ${toneOf(status)}`, status ? `${status}` : 'lost'),
      element('span', 'verb', verb),
      what,
      element('span', 'ms', `${Math.round(ms)} ms`),
    )
    list.prepend(line)
    while (list.children.length > MOST_LINES) list.lastElementChild?.remove()
  }

  /** @type {typeof globalThis.fetch} */
  const loggedFetch = async (input, init) => {
    const { url, method } = input instanceof Request ? input : new Request(input, init)
    const { origin, pathname, search } = new URL(url)
    const path = `${names[origin] ?? ''} ${decodeURIComponent(pathname)}${search}`
    const begun = performance.now()
    try {
      const response = await fetch(input, init)
      const ms = performance.now() - begun
      add({ verb: method, path, status: response.status, ms, note: await noteOf(response) })
      return response
    } catch (error) {
      add({ verb: method, path, status: 0, ms: performance.now() - begun, note: 'no answer' })
      throw error
    }
  }

  return { fetch: loggedFetch, clear: () => list.replaceChildren() }
}
