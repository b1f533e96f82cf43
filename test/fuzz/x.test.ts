import { expect, test } from 'vitest'
import { SERVICE_KEY, startService } from '../support/service.ts'
import { openLine } from '../resilience/sockets.ts'
test.each([
 'GET /health/live HTTP/1.1\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n',
 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n',
 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
 'GET /health/live\r\n\r\n',
 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
 'GET http://evil/health/live HTTP/1.1\r\nHost: a\r\n\r\n',
 'PURGE /customers/a/token HTTP/1.1\r\nHost: a\r\n\r\n',
 'QUERY /customers/a/token HTTP/1.1\r\nHost: a\r\n\r\n',
 'TRACE /customers/a/token HTTP/1.1\r\nHost: a\r\n\r\n',
 'GET /customers/a/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\nhello',
 'GET /customers/a/token#frag HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\n',
 'GET /customers/a/token;x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\n',
 'GET //customers/a/token HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\n',
 'GET /customers/a/token HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\nAuthorization: Bearer x\r\n\r\n',
 'GET /customers/a%00/token HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\n',
 'DELETE /customers/a/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\nAuthorization: Bearer '+SERVICE_KEY+'\r\n\r\nhello',
 'GET /health/live HTTP/1.1\nHost: a\n\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
 'POST /customers/a/token HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n',
 'POST /customers/a/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n',
 'GET /health/live HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
])('%j', async (text) => {
  const service = await startService({ env: { PORT: '0', HOST: '127.0.0.1' }, deps: { bounds: { headersTimeoutMs: 200, requestTimeoutMs: 300, checkEveryMs: 50, keepAliveMs: 100 } } })
  const { url } = await service.app.listen()
  const line = await openLine(url)
  line.send(text)
  await Promise.race([line.closed, new Promise((r) => setTimeout(r, 1500))])
  console.log('ASK', JSON.stringify(text.replace(SERVICE_KEY, 'KEY')), '\nGOT', line.received.split('\r\n').filter((l) => !/^(x-|date|content-l|cache|pragma|ratelim|keep)/i.test(l)).join(' | ').slice(0,330), service.logged().filter((l) => l.level === 'error' || l.level==='fatal').map((l) => JSON.stringify(l)).join().slice(0,300))
})
