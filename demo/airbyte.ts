import type { IncomingMessage, Server } from 'node:http'
import { z } from 'zod'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { createOrigin, jsonReply, readJson, serveFiles } from './http-server.ts'

const FILES = ['widget.html', 'widget.css', 'widget.js']
const SOURCES = '/api/v1/sources'

export const CONNECTORS = [
  'PostgreSQL',
  'Stripe',
  'HubSpot',
  'Shopify',
  'Salesforce',
  'Google Sheets',
] as const

const NewSource = z.strictObject({ connector: z.enum(CONNECTORS) })

/**
 * What a browser sees of Airbyte: the page inside the widget's frame, and an API that takes scoped
 * tokens. Whether a token is good, the sandbox says that minted it.
 */
export function createAirbyte(verify: Sandbox['verify'], pageOrigin: () => string) {
  const files = serveFiles(new URL('widget/', import.meta.url), FILES)
  const connected = new Map<string, Set<string>>()
  let refusals = 0

  const headers = () => ({
    'access-control-allow-origin': '*',
    'content-security-policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      `frame-ancestors ${pageOrigin()}`,
    ].join('; '),
  })

  async function sources(request: IncomingMessage) {
    if (refusals > 0) {
      refusals -= 1
      return jsonReply(401, { status: 401, title: 'unauthorized' })
    }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const known = token ? verify(token) : null
    if (!known) return jsonReply(401, { status: 401, title: 'unauthorized' })

    const mine = connected.get(known.workspaceId) ?? new Set()
    connected.set(known.workspaceId, mine)
    if (request.method === 'POST') mine.add(NewSource.parse(await readJson(request)).connector)
    return jsonReply(200, {
      workspace: known.customer,
      connectors: CONNECTORS,
      connected: [...mine],
    })
  }

  const server: Server = createOrigin(headers, async (request, path) => {
    if (request.method === 'OPTIONS')
      return {
        status: 204,
        headers: {
          'access-control-allow-methods': 'GET, POST',
          'access-control-allow-headers': 'authorization, content-type',
          'access-control-max-age': '600',
        },
      }
    if (path === SOURCES) return sources(request)
    return files(request, path === '/embedded-widget' ? '/widget.html' : path)
  })

  return {
    server,
    /** The next call gets 401, whatever it comes with. */
    refuseNextCall() {
      refusals = 1
    },
  }
}
