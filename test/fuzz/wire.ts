import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type WireReply = {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** Everything, as it came. */
  readonly text: string
}

type Read = { readonly reply: WireReply; readonly rest: string }

/** The first reply in what has come, or `null` while it is not whole. Knows lengths and chunks. */
export function readReply(text: string, ended: boolean, withoutBody: boolean): Read | null {
  const split = text.indexOf('\r\n\r\n')
  if (split < 0) return null
  const [statusLine = '', ...lines] = text.slice(0, split).split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  const status = Number(statusLine.split(' ')[1])
  const after = text.slice(split + 4)
  if (status === 100) return readReply(after, ended, withoutBody)

  const made = (body: string, length: number): Read => ({
    reply: { status, headers, body, text: text.slice(0, split + 4 + length) },
    rest: after.slice(length),
  })
  if (withoutBody || status === 204 || status === 304) return made('', 0)
  if (headers.get('transfer-encoding') === 'chunked') return fromChunks(after, made)
  const length = headers.get('content-length')
  if (length === undefined) return ended ? made(after, after.length) : null
  return after.length < Number(length) ? null : made(after.slice(0, Number(length)), Number(length))
}

function fromChunks(text: string, made: (body: string, length: number) => Read): Read | null {
  let body = ''
  let at = 0
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return null
    const size = Number.parseInt(text.slice(at, line), 16)
    const end = line + 2 + size + 2
    if (text.length < end) return null
    if (size === 0) return made(body, end)
    body += text.slice(line + 2, line + 2 + size)
    at = end
  }
}

/** Sends bytes and reads replies in latin1, over one connection for as long as that lasts. */
export function createWire(url: string) {
  const { hostname, port } = new URL(url)
  let socket: Socket | undefined
  let received = ''
  let ended = false
  let wake = () => {}

  async function opened(): Promise<Socket> {
    if (socket && !ended && socket.writable) return socket
    received = ''
    ended = false
    const fresh = connect(Number(port), hostname)
    fresh.setEncoding('latin1')
    fresh.on('data', (chunk) => {
      if (fresh !== socket) return
      received += chunk
      wake()
    })
    fresh.on('error', () => {})
    fresh.on('close', () => {
      if (fresh !== socket) return
      ended = true
      wake()
    })
    socket = fresh
    await once(fresh, 'connect')
    return fresh
  }

  return {
    /** One request and its reply; `null`: the connection ended without one. */
    async ask(text: string, withoutBody: boolean): Promise<WireReply | null> {
      const line = await opened()
      line.write(text, 'latin1')
      for (;;) {
        const read = readReply(received, ended, withoutBody)
        if (read) {
          received = read.rest
          if (read.reply.headers.get('connection')?.toLowerCase() === 'close') this.close()
          return read.reply
        }
        if (ended) return null
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    /** Whatever comes until the other side ends it. */
    async pour(text: string): Promise<WireReply[]> {
      const line = await opened()
      line.write(text, 'latin1')
      while (!ended)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const replies: WireReply[] = []
      for (let rest = received; ; ) {
        const read = readReply(rest, true, false)
        if (!read) return replies
        replies.push(read.reply)
        rest = read.rest
      }
    },
    close() {
      socket?.destroy()
      socket = undefined
    },
  }
}
