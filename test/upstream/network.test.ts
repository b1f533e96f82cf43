import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClockWatch } from '../../src/upstream/clock-skew.ts'
import { recordingLog, startedUpstream, tokenRequest } from './started.ts'

/** A proxy that notes what it is asked to connect to, and refuses. */
async function refusingProxy() {
  const asked: (string | undefined)[] = []
  const server = createServer()
  server.on('connect', (request, socket) => {
    asked.push(request.url)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, asked }
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    ({ code }) => code,
  )

describe('HTTPS_PROXY', () => {
  test('is asked for a tunnel to an https upstream, and its refusal is an outage', async () => {
    const proxy = await refusingProxy()
    const { upstream } = await startedUpstream({
      settings: (s) => ({
        apiUrl: 'https://upstream.invalid',
        proxyUrl: proxy.url,
        orgToken: { source: 'static', accessToken: s.orgToken },
      }),
    })

    expect(await codeOf(upstream.mint(tokenRequest(), 'caller'))).toBe('upstream_unavailable')
    expect(new Set(proxy.asked)).toEqual(new Set(['upstream.invalid:443']))
  })

  test.each([
    ['for plain http', 'http', ''],
    ['for a host of NO_PROXY', 'https', '127.0.0.1'],
  ])('is left out %s', async (_, protocol, noProxy) => {
    const proxy = await refusingProxy()
    const { upstream } = await startedUpstream({
      settings: (s) => ({
        apiUrl: s.url.replace('http:', `${protocol}:`),
        proxyUrl: proxy.url,
        noProxy,
        orgToken: { source: 'static', accessToken: s.orgToken },
      }),
    })

    const code = await codeOf(upstream.mint(tokenRequest(), 'caller'))

    // Https at a server that speaks http fails, but it fails there.
    expect(code).toBe(protocol === 'http' ? 'ok' : 'upstream_unavailable')
    expect(proxy.asked).toEqual([])
  })
})

test('a clock that differs is told once per change', () => {
  const { log, lines } = recordingLog()
  const clocks = createClockWatch({ log })
  const now = Date.parse('2026-11-22T12:00:00Z')
  const observe = (seconds: number) =>
    clocks.observe('api', new Date(now + seconds * 1000).toUTCString(), now)

  for (const seconds of [0, 2, -120, -121, -119, -300, 1, 0]) observe(seconds)
  clocks.observe('api', undefined, now)
  clocks.observe('api', 'nonsense', now)

  expect(lines.map(({ level, fields }) => [level, fields.skewSeconds])).toEqual([
    ['warn', -120],
    ['warn', -300],
    ['info', 0],
  ])
})
