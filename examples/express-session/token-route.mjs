import express from 'express'

const PASSED_ON = ['content-type', 'retry-after', 'cache-control']
const TIMEOUT_MS = 15_000

/** `/customers/:id/token` for the page of whoever is signed in, answered by the broker. */
export function tokenRoute({ brokerUrl, brokerKey }) {
  const router = express.Router()

  router.all('/customers/:id/token', express.json(), async (request, response) => {
    const customerId = request.session?.customerId
    if (!customerId) return response.status(401).json({ code: 'unauthenticated' })
    if (request.params.id !== customerId) return response.status(403).json({ code: 'forbidden' })
    // Another site can make a browser send the cookie, but not this header.
    if (!request.get('x-requested-with')) return response.status(403).json({ code: 'csrf' })
    if (!['GET', 'POST'].includes(request.method)) return response.sendStatus(405)

    // What a service may ask for is more than what a user may: only these few are let through.
    const { type, allowed_origin, min_ttl, refresh } = { ...request.query, ...request.body }
    try {
      const answer = await fetch(`${brokerUrl}/customers/${encodeURIComponent(customerId)}/token`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${brokerKey}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({
          type,
          allowed_origin,
          min_ttl: min_ttl === undefined ? undefined : Number(min_ttl),
          refresh: refresh === true || undefined,
        }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      for (const name of PASSED_ON)
        if (answer.headers.has(name)) response.set(name, answer.headers.get(name))
      return response.status(answer.status).send(Buffer.from(await answer.arrayBuffer()))
    } catch {
      return response.status(503).json({ code: 'upstream_unavailable' })
    }
  })

  return router
}
