import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { extname } from 'node:path'
import { text } from 'node:stream/consumers'

export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export type Answer = (request: IncomingMessage, path: string) => Promise<Reply | undefined>

const NOT_FOUND: Reply = { status: 404 }

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
}

/** A server for one of the demo's origins, whose every reply carries `headers`. */
export function createOrigin(
  headers: () => Readonly<Record<string, string>>,
  answer: Answer,
): Server {
  return createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '/').replace(/\?.*$/, '')
    const {
      status,
      headers: own,
      body,
    }: Reply = (await answer(request, path).catch(() => ({ status: 400 }))) ?? NOT_FOUND
    response.writeHead(status, {
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      ...headers(),
      ...own,
    })
    response.end(body)
  })
}

/** Answers with the files of a folder, by a fixed list of their names. */
export function serveFiles(folder: URL, names: readonly string[]): Answer {
  return async ({ method }, path) => {
    const name = path === '/' ? 'index.html' : path.slice(1)
    if (method !== 'GET' || !names.includes(name)) return undefined
    const type = `${MEDIA_TYPES[extname(name)] ?? 'application/octet-stream'}; charset=utf-8`
    return {
      status: 200,
      headers: { 'content-type': type },
      body: await readFile(new URL(name, folder)),
    }
  }
}

export const jsonReply = (status: number, value: unknown): Reply => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
  body: JSON.stringify(value),
})

export const readJson = async (request: IncomingMessage): Promise<unknown> =>
  JSON.parse(await text(request))

export async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
