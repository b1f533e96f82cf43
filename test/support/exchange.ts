import { connect } from 'node:net'

/** Sends these bytes over a connection of their own, and resolves with all that comes before it closes. */
export async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  let received = ''
  for await (const chunk of socket) received += String(chunk)
  return received
}
