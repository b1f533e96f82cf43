import { connect } from 'node:net'

export type Connection = {
  /** Once the reply to the one before has come. */
  send(request: Buffer): void
  close(): void
}

/**
 * One keep-alive connection that sends ready bytes and finds the end of each reply by its Content-Length.
 * No more than that, so that one core of load can saturate one core of server.
 */
export function openConnection(
  port: number,
  onReply: (status: string) => void,
): Promise<Connection> {
  let text = ''
  let length = 0

  function take(chunk: string): void {
    text += chunk
    if (length === 0) {
      const headers = text.indexOf('\r\n\r\n')
      if (headers < 0) return
      const body = /content-length: (\d+)/i.exec(text)?.[1]
      if (body === undefined) throw new Error('a reply tells no Content-Length')
      length = headers + 4 + Number(body)
    }
    if (text.length < length) return
    const status = text.slice(9, 12)
    text = ''
    length = 0
    onReply(status)
  }

  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(64 * 1024),
        callback(bytes, buffer) {
          take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString('latin1'))
          return true
        },
      },
    })
    socket.on('error', reject)
    socket.on('connect', () => {
      resolve({ send: (request) => void socket.write(request), close: () => socket.destroy() })
    })
  })
}
