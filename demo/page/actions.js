// @ts-check
import { tellBackend } from './api.js'

const ENOUGH = 60

/**
 * What the buttons do. Each returns what came of it, in words.
 * @typedef {{ tone: 'good' | 'late' | 'bad', text: string }} Outcome
 * @typedef {object} Story
 * @property {import('./api.js').Config} config
 * @property {typeof globalThis.fetch} fetch one that shows in the log
 * @property {() => { id: string, name: string }} customer
 * @property {() => import('../../src/client/client.js').TokenClient} tokens
 * @property {() => Promise<string>} jwt
 */

/** @type {(story: Story) => Record<string, (button: HTMLElement) => Promise<Outcome>>} */
export function createActions({ config, fetch, customer, tokens, jwt }) {
  const sources = `${config.airbyteUrl}/api/v1/sources`

  /** @type {(id: string, init?: RequestInit) => Promise<Response>} */
  const askBroker = async (id, init = {}) =>
    fetch(`${config.brokerUrl}/customers/${id}/token`, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${await jwt()}` },
    })

  return {
    async call() {
      const response = await tokens().fetch(sources)
      return response.ok
        ? {
            tone: 'good',
            text: `Airbyte knows the token: it is good for ${customer().name} alone.`,
          }
        : { tone: 'bad', text: `Airbyte answered ${response.status}.` }
    },

    async refused() {
      await tellBackend('/demo/refuse-next-call', {})
      const response = await tokens().fetch(sources)
      return response.ok
        ? {
            tone: 'good',
            text: 'Refused with 401, met with one fresh token, and the request went through. Your code saw only the 200.',
          }
        : { tone: 'late', text: 'Refused, and no fresh token was to be had just now.' }
    },

    async hammer() {
      for (let count = 1; count <= ENOUGH; count += 1) {
        const response = await askBroker(customer().id)
        if (response.status !== 429) continue
        const seconds = response.headers.get('retry-after')
        return {
          tone: 'late',
          text: `The limit of this customer is used up for ${seconds} s. Other customers are untouched, and the token in hand goes on living.`,
        }
      }
      return { tone: 'good', text: `${ENOUGH} requests, and no limit was reached.` }
    },

    async other() {
      const stranger = config.customers.find(({ id }) => id !== customer().id)
      const response = await askBroker(stranger?.id ?? 'somebody')
      return response.status === 403
        ? {
            tone: 'good',
            text: `403: the user’s JWT speaks for ${customer().name}, not for ${stranger?.name}. Airbyte was not even asked.`,
          }
        : { tone: 'bad', text: `The broker answered ${response.status}.` }
    },

    async down(button) {
      const down = button.getAttribute('aria-pressed') !== 'true'
      await tellBackend('/demo/upstream', { down })
      button.setAttribute('aria-pressed', `${down}`)
      if (!down)
        return { tone: 'good', text: 'Airbyte mints again; the next renewal will succeed.' }
      const { status } = await askBroker(customer().id, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh: true }),
      })
      return status === 503
        ? {
            tone: 'late',
            text: 'Airbyte mints nothing now. Calls go on with the token in hand until it ends; renewals back off and recover by themselves.',
          }
        : {
            tone: 'late',
            text: 'Airbyte mints nothing now. The token is so young that the broker does not need to ask; wait for the next renewal.',
          }
    },
  }
}
