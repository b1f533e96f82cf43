import { once } from 'node:events'
import { connect } from 'node:net'
import { onTestFinished } from 'vitest'

export type Line = {
  send(text: string): void
  /** What has come so far. */
  readonly received: string
  /** Resolves with all that came, once the other side has ended it. */
  readonly closed: Promise<string>
  pause(): void
  /** Says this last thing, and goes on listening. */
  end(text: string): void
  destroy(): void
}

/** A connection on which a test says what it likes. */
export async function openLine(url: string): Promise<Line> {
  const { hostname, port } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.on('end', () => void socket.end())
  socket.on('error', () => {})
  const closed = once(socket, 'close').then(() => received)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return {
    send: (text) => void socket.write(text),
    get received() {
      return received
    },
    closed,
    pause: () => void socket.pause(),
    end: (text) => void socket.end(text),
    destroy: () => void socket.destroy(),
  }
}

/** The parts of each reply on a line. */
export function repliesIn(text: string): { status: number; head: string; body: string }[] {
  const replies = []
  let rest = text
  while (rest !== '') {
    const split = rest.indexOf('\r\n\r\n')
    if (split < 0) break
    const head = rest.slice(0, split)
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
    const body = rest.slice(split + 4, split + 4 + length)
    replies.push({ status: Number(head.split(' ')[1]), head, body })
    rest = rest.slice(split + 4 + length)
  }
  return replies
}
