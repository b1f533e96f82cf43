// @ts-check

/** @typedef {{ brokerUrl: string, airbyteUrl: string, customers: { id: string, name: string }[] }} Config */

/** @type {() => Promise<Config>} */
export const readConfig = async () => (await fetch('/config.json')).json()

/** @type {(path: string, body: object) => Promise<Response>} */
export const tellBackend = (path, body) =>
  fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/**
 * Who is signed in, as a JWT from the product's own backend. It is kept, and asked for again when the
 * broker has refused it or it is a few minutes old.
 * @param {string} customer
 */
export function createSession(customer) {
  /** @type {Promise<string> | undefined} */
  let jwt
  let askedAt = 0

  return {
    jwt(refused = false) {
      if (!jwt || refused || Date.now() - askedAt > 240_000) {
        askedAt = Date.now()
        jwt = tellBackend('/api/session', { customer }).then(async (response) => {
          if (!response.ok) throw new Error('The backend does not say who is signed in')
          return (await response.json()).jwt
        })
        jwt.catch(() => {
          jwt = undefined
        })
      }
      return jwt
    },
  }
}
